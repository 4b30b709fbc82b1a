"""Work in other threads, with a bounded number of items that wait."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple, TypeVar

__all__ = ["bounded_map", "prefetch"]

T = TypeVar("T")
R = TypeVar("R")

POLL_SECONDS = 0.05  # how long a thread waits before it looks whether it should stop


def bounded_map(
    executor: Executor,
    function: Callable[[T], R],
    items: Iterable[T],
    max_pending: int,
    *,
    eager: bool = False,
) -> Iterator[R]:
    """`map` in an executor, in order, with a bounded number of items in work.

    Args:
        executor: Runs `function`. `items` are drawn in the thread that takes the results.
        function: Called with each item.
        items: Drawn one by one, when there is room.
        max_pending: How many items may be submitted and not yet taken.
        eager: Yields a finished result before the next item is submitted, instead of only when
            `max_pending` is reached.
    """
    pending: deque[Future[R]] = deque()
    for item in items:
        pending.append(executor.submit(function, item))
        while pending and (len(pending) >= max_pending or (eager and pending[0].done())):
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


class _End(NamedTuple):
    error: BaseException | None


def prefetch(
    items: Generator[T, None, None], buffer_size: int, *, drop_oldest: bool = False
) -> Generator[T, None, None]:
    """Runs a generator in another thread, at most `buffer_size` items ahead.

    Its error is raised in place of the item that failed. Closing this generator closes the
    other one in its thread, and waits for that.

    Args:
        items: The generator.
        buffer_size: How many items may wait.
        drop_oldest: With a full buffer the oldest item is dropped for the new one; otherwise
            the thread waits.
    """
    buffer: queue.Queue[Any] = queue.Queue(buffer_size)
    stop = threading.Event()

    def produce() -> None:
        error = None
        try:
            with contextlib.closing(items):
                for item in items:
                    _put(buffer, item, stop, drop_oldest=drop_oldest)
                    if stop.is_set():
                        break
        except BaseException as caught:  # noqa: BLE001  (raised again where the items are taken)
            error = caught
        _put(buffer, _End(error), stop, drop_oldest=False)

    thread = threading.Thread(target=produce, name="easyseg-prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := buffer.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        thread.join()


def _put(buffer: queue.Queue[Any], item: Any, stop: threading.Event, *, drop_oldest: bool) -> None:
    while not stop.is_set():
        try:
            buffer.put(item, block=not drop_oldest, timeout=POLL_SECONDS)
        except queue.Full:
            if drop_oldest:
                with contextlib.suppress(queue.Empty):  # it was taken just now
                    buffer.get_nowait()
        else:
            return
