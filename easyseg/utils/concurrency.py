"""A generator that runs in another thread."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator
from typing import Any, NamedTuple, TypeVar

__all__ = ["newest"]

T = TypeVar("T")


class _End(NamedTuple):
    error: BaseException | None


def newest(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """Runs a generator in another thread; items that are not taken before the next are dropped.

    Its error is raised after its last item. Closing this generator closes the other one in its
    thread, and waits for that.
    """
    buffer: queue.SimpleQueue[Any] = queue.SimpleQueue()  # holds one item at most, and the end
    stop = threading.Event()

    def produce() -> None:
        error = None
        try:
            with contextlib.closing(items):
                for item in items:
                    with contextlib.suppress(queue.Empty):
                        buffer.get_nowait()
                    buffer.put(item)
                    if stop.is_set():
                        break
        except BaseException as caught:  # noqa: BLE001  (raised again where the items are taken)
            error = caught
        buffer.put(_End(error))

    thread = threading.Thread(target=produce, name="easyseg-newest", daemon=True)
    thread.start()
    try:
        while not isinstance(item := buffer.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        thread.join()
