"""A generator in another thread."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from easyseg.utils.concurrency import newest


def test_a_generator_in_a_thread_is_closed():
    events = []

    def numbers():
        try:
            for number in itertools.count():
                time.sleep(0.001)
                yield number
        finally:
            events.append("closed")

    taken = newest(numbers())
    assert next(taken) < next(taken)
    taken.close()
    assert events == ["closed"]


def test_an_error_of_a_thread_comes_after_the_last_item():
    def numbers():
        yield 1
        raise ValueError("two")

    taken = newest(numbers())
    assert next(taken) == 1
    with pytest.raises(ValueError, match="two"):
        next(taken)


def test_the_newest_item_is_kept():
    started, finished = threading.Event(), threading.Event()

    def numbers():
        yield 0
        started.wait()
        yield from range(1, 10)
        finished.set()

    taken = newest(numbers())
    assert next(taken) == 0
    started.set()
    finished.wait()
    assert list(taken) == [9]
