"""Work in other threads, in bounded numbers."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from easyseg.utils.concurrency import bounded_map, prefetch


@pytest.mark.parametrize("eager", [False, True])
def test_results_come_in_order_and_few_items_are_submitted(eager):
    drawn = []

    def numbers():
        for number in range(20):
            drawn.append(number)
            yield number

    def slow_first(number):
        time.sleep(0.002 * (number % 3 == 0))
        return 10 * number

    with ThreadPoolExecutor(2) as executor:
        results = bounded_map(executor, slow_first, numbers(), 4, eager=eager)
        for number, result in enumerate(results):
            assert result == 10 * number
            assert len(drawn) <= number + 4
    assert len(drawn) == 20


def test_an_eager_map_yields_what_is_ready():
    with ThreadPoolExecutor(1) as executor:
        drawn = iter(range(3))
        results = bounded_map(executor, str, _slowly(drawn), 10, eager=True)
        assert next(results) == "0"
        assert next(drawn) == 1, "the second item was not needed yet"


def _slowly(items):
    for item in items:
        yield item
        time.sleep(0.05)


def test_a_generator_in_a_thread_is_bounded_and_closed():
    events = []

    def numbers():
        try:
            for number in itertools.count():
                events.append(number)
                yield number
        finally:
            events.append("closed")

    taken = prefetch(numbers(), 3)
    assert [next(taken), next(taken)] == [0, 1]
    time.sleep(0.2)
    assert events == [0, 1, 2, 3, 4, 5]
    taken.close()
    assert events[-1] == "closed"


def test_errors_of_a_thread_come_where_they_would():
    def numbers():
        yield from (1, 2)
        raise ValueError("three")

    taken = prefetch(numbers(), 8)
    assert [next(taken), next(taken)] == [1, 2]
    with pytest.raises(ValueError, match="three"):
        next(taken)


def test_the_newest_item_is_kept():
    started, finished = threading.Event(), threading.Event()

    def numbers():
        yield 0
        started.wait()
        yield from range(1, 10)
        finished.set()

    taken = prefetch(numbers(), 1, drop_oldest=True)
    assert next(taken) == 0
    started.set()
    finished.wait()
    assert list(taken) == [9]
