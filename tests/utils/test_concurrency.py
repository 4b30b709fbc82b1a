"""A generator in another thread, and what threads share."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from easyseg.utils.concurrency import Budget, newest


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


def test_a_budget_is_never_exceeded_but_by_one_that_is_larger():
    budget, held, peaks = Budget(10), [0], []
    lock = threading.Lock()

    def work(part):
        for _ in range(20):
            budget.take(part)
            with lock:
                held[0] += part
                peaks.append(held[0])
            time.sleep(0.0005)
            with lock:
                held[0] -= part
            budget.give(part)

    threads = [threading.Thread(target=work, args=(part,)) for part in (1, 3, 4, 7, 12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert not any(thread.is_alive() for thread in threads)
    assert 7 < max(peaks) <= 12


def test_threads_that_hold_a_part_each_do_not_wait_for_ever():
    budget, barrier, done = Budget(10), threading.Barrier(2), []

    def batch():
        budget.take(5)
        barrier.wait()
        budget.take(5)  # the other holds the rest, and wants as much
        done.append(1)
        budget.give(5)
        budget.give(5)

    threads = [threading.Thread(target=batch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert done == [1, 1]
