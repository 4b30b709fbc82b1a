"""Processes of this machine, each with the model and its share of the cores."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, Self, TypeVar

from easyseg.errors import EasysegError, InputError
from easyseg.utils.threads import thread_count
from easyseg.utils.validation import is_count

if TYPE_CHECKING:
    from easyseg.inference.predictor import Predictor

T = TypeVar("T")
R = TypeVar("R")

Opener = Callable[[], "Predictor"]
"""Opens the model; it is pickled."""

_opener: Opener | None = None  # of a worker


class WorkerError(EasysegError):
    """A process ended before its work was done."""


def check_workers(workers: int) -> None:
    """Raises InputError unless it is a number of processes."""
    if not is_count(workers):
        raise InputError(f"workers={workers!r} must be a whole number from 1.")


class Workers:
    """Processes that are spawned, not forked, and end with this one.

    Args:
        count: How many. The cores that this process may use are shared out among them.
        opener: Opens the model, in each of them, at its first task.
    """

    def __init__(self, count: int, opener: Opener) -> None:
        self._count = count
        context = multiprocessing.get_context("spawn")
        shares = context.SimpleQueue()
        for share in _shares(count):
            shares.put(share)
        self._pool = ProcessPoolExecutor(
            count, mp_context=context, initializer=_begin, initargs=(opener, shares)
        )

    def map(self, function: Callable[[Predictor, T], R], tasks: Iterable[T]) -> Iterator[R]:
        """`function(predictor, task)` of each task, in order.

        At most twice as many tasks as processes are in work or wait to be taken.

        Raises:
            WorkerError: A process was killed, or could not start.
            EasysegError: What the function raised.
        """
        pending: deque[Any] = deque()
        waiting = iter(tasks)
        try:
            while True:
                while len(pending) < 2 * self._count:
                    task = next(waiting, None)
                    if task is None:
                        break
                    with _interrupts_later():
                        pending.append(self._pool.submit(_run, function, task))
                if not pending:
                    return
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            raise WorkerError(
                "A worker process was killed or could not start, perhaps for lack of memory. Use "
                "fewer workers; and in a script of your own, start them below "
                '`if __name__ == "__main__":`.'
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            for process in list((self._pool._processes or {}).values()):
                process.terminate()
        self._pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _interrupts_later() -> Iterator[None]:
    """Ctrl-C waits; processes that are started meanwhile do not get it: this one ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _shares(count: int) -> list[tuple[int, list[int]]]:
    """Threads of each process, and its cores where the system lets one choose them."""
    threads = thread_count()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return [
        (max(1, threads // count), cores[i * len(cores) // count : (i + 1) * len(cores) // count])
        for i in range(count)
    ]


def _begin(opener: Opener, shares: Any) -> None:
    global _opener  # noqa: PLW0603  (of this process, which does nothing else)
    _opener = opener
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    threads, cores = shares.get()
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if cores:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)
    logging.disable(logging.WARNING)  # the first process tells
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(function: Callable[[Any, T], R], task: T) -> R:
    assert _opener is not None  # noqa: S101  (for mypy)
    return function(_opener(), task)
