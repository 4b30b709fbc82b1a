"""A generator that runs in another thread, and an amount that threads share."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Budget:
    """An amount that threads share: who would exceed it waits until another returns its part.

    When all who hold a part are waiting, one continues nevertheless, so that none waits forever.

    Args:
        amount: What all may hold together; a larger part is given to one thread alone.
    """

    def __init__(self, amount: int) -> None:
        self._amount = amount
        self._held: dict[int, int] = {}  # by thread
        self._waiting: set[int] = set()
        self._changed = threading.Condition()

    def take(self, part: int) -> None:
        """Waits until the part is free, and holds it for this thread."""
        thread = threading.get_ident()
        with self._changed:
            self._waiting.add(thread)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_free(part))
            self._waiting.discard(thread)
            self._held[thread] = self._held.get(thread, 0) + part

    def give(self, part: int) -> None:
        """Gives back what this thread took."""
        thread = threading.get_ident()
        with self._changed:
            self._held[thread] -= part
            if not self._held[thread]:
                del self._held[thread]
            self._changed.notify_all()

    def _is_free(self, part: int) -> bool:
        fits = sum(self._held.values()) + part <= self._amount
        return fits or self._held.keys() <= self._waiting


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
