"""A generator that runs ahead in a thread of its own."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator
from typing import Any, NamedTuple, TypeVar

__all__ = ["in_thread"]

T = TypeVar("T")


class _End(NamedTuple):
    error: BaseException | None


def in_thread(
    items: Generator[T, None, None], size: int, *, latest: bool = False
) -> Generator[T, None, None]:
    """Runs a generator in another thread, at most `size` items ahead.

    Its error is raised where it would have come. Closing this generator closes the other one in
    its thread, and waits for that.

    Args:
        items: What to run.
        size: How many items may wait.
        latest: Where `size` items wait already, the oldest is dropped for the new one; without
            it the thread waits.
    """
    waiting: queue.Queue[Any] = queue.Queue(size)
    stop = threading.Event()

    def work() -> None:
        error = None
        try:
            with contextlib.closing(items):
                for item in items:
                    _offer(waiting, item, stop, latest=latest)
                    if stop.is_set():
                        break
        except BaseException as caught:  # noqa: BLE001  (raised again where the items are taken)
            error = caught
        _offer(waiting, _End(error), stop, latest=False)

    thread = threading.Thread(target=work, name="easyseg-video", daemon=True)
    thread.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        thread.join()


def _offer(waiting: queue.Queue[Any], item: Any, stop: threading.Event, *, latest: bool) -> None:
    while not stop.is_set():
        try:
            waiting.put(item, block=not latest, timeout=0.05)
        except queue.Full:
            if latest:
                _drop_oldest(waiting)
        else:
            return


def _drop_oldest(waiting: queue.Queue[Any]) -> None:
    with contextlib.suppress(queue.Empty):  # it was taken just now
        waiting.get_nowait()
