"""Large pictures in overlapping windows, whose logits are blended row by row of windows.

Windows lie a multiple of `UNIT` pixels apart and are `k * UNIT + 1` pixels wide, so that the
logits of all of them lie on one grid over the picture, and blending needs no resampling.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["UNIT", "Tiling", "blend", "tile", "window_side"]

UNIT = 32  # a multiple of every output stride
OVERLAP = 0.25  # share of a window that its neighbour sees too


class Tiling(NamedTuple):
    """Where the windows lie.

    Attributes:
        window: Height and width of a window, in pixels.
        rows: Upper edge of each row of windows.
        cols: Left edge of each column.
    """

    window: int
    rows: tuple[int, ...]
    cols: tuple[int, ...]


def window_side(pixels: int) -> int:
    """The side of a window: `pixels`, or the next that is `k * UNIT + 1`."""
    return -(-(int(pixels) - 1) // UNIT) * UNIT + 1


def tile(size: tuple[int, int], window: int) -> Tiling:
    """Covers a picture with windows, which may reach over its lower and right edges.

    Args:
        size: Height and width of the picture.
        window: From `window_side`.
    """
    step = max(UNIT, int((1 - OVERLAP) * window) // UNIT * UNIT)
    rows, cols = (_starts(side, window, step) for side in size)
    return Tiling(window, rows, cols)


def _starts(side: int, window: int, step: int) -> tuple[int, ...]:
    last = max(0, -(-(side - window) // UNIT) * UNIT)
    return (*range(0, last, step), last)


def blend(
    tiling: Tiling, logits: Iterable[np.ndarray], stride: int
) -> Iterator[tuple[int, np.ndarray]]:
    """The blended logits of the whole picture, from top to bottom, as soon as they are settled.

    A window counts most at its centre, where it sees most around a pixel, and falls off linearly
    to its edges.

    Args:
        tiling: Where the windows lie.
        logits: `(h, w, classes) float32` of each window, row by row.
        stride: Pixels between two logits.

    Yields:
        `(first, (n, width, classes) float32)`: rows of the grid from row `first` on. The last
        row of each stripe comes again as the first of the next, so that pixels between them can
        be interpolated.
    """
    logits = iter(logits)
    cells = (tiling.window - 1) // stride + 1
    width = tiling.cols[-1] // stride + cells
    ramp = np.minimum(np.arange(1, cells + 1), np.arange(cells, 0, -1)).astype(np.float32)
    weight = (ramp[:, None] * ramp)[..., None]
    total = share = None
    last_row = None
    ends = (*(top // stride for top in tiling.rows[1:]), tiling.rows[-1] // stride + cells)
    for top, end in zip(tiling.rows, ends, strict=True):
        for left in tiling.cols:
            values = next(logits)
            if total is None or share is None:
                total = np.zeros((cells, width, values.shape[-1]), np.float32)
                share = np.zeros((cells, width, 1), np.float32)
            here = slice(left // stride, left // stride + cells)
            total[:, here] += weight * values
            share[:, here] += weight
        assert total is not None and share is not None  # noqa: PT018, S101  (for mypy)
        first, done = top // stride, end - top // stride
        carried = 0 if last_row is None else 1
        settled = np.empty((carried + done, width, total.shape[-1]), np.float32)
        np.divide(total[:done], share[:done], out=settled[carried:])
        if last_row is not None:
            settled[0] = last_row
        last_row = settled[-1].copy()
        yield first - carried, settled
        del settled  # there is one less in memory while the next is made
        for rows in (total, share):
            rows[: cells - done] = rows[done:]
            rows[cells - done :] = 0
