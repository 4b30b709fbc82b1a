"""Work begun ahead of time in other threads, in bounded numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    pool: Executor,
    function: Callable[[T], R],
    items: Iterable[T],
    count: int,
    *,
    at_once: bool = False,
) -> Iterator[R]:
    """`map` in a pool, in order, with a bounded number of items begun and not yet taken.

    Args:
        pool: Where `function` runs; `items` are drawn in the thread that takes the results.
        function: Called with each item.
        items: Drawn one by one, as room is made.
        count: How many items may be begun.
        at_once: Gives what is ready before it begins more, rather than when it must.
    """
    begun: deque[Future[R]] = deque()
    for item in items:
        begun.append(pool.submit(function, item))
        while begun and (len(begun) >= count or (at_once and begun[0].done())):
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()
