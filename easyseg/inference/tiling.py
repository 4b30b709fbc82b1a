"""Large images in overlapping windows, whose logits are blended window by window.

Windows lie a multiple of `UNIT` pixels apart and are `k * UNIT + 1` pixels wide, so that the
logits of all of them lie on one grid over the image, and blending needs no resampling.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["UNIT", "Tiling", "blend", "grid_size", "tile", "window_side"]

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
    """Covers an image with windows, which may reach over its lower and right edges.

    Args:
        size: Height and width of the image.
        window: From `window_side`.
    """
    step = max(UNIT, int((1 - OVERLAP) * window) // UNIT * UNIT)
    rows, cols = (_starts(side, window, step) for side in size)
    return Tiling(window, rows, cols)


def _starts(side: int, window: int, step: int) -> tuple[int, ...]:
    """Evenly from the first to the last, at most `step` apart."""
    last = max(0, -(-(side - window) // UNIT) * UNIT)
    count = -(-last // step)
    return tuple(i * last // max(count, 1) // UNIT * UNIT for i in range(count + 1))


class _Side(NamedTuple):
    """The windows along one side of the grid of logits.

    Attributes:
        starts: Where each begins.
        ends: Up to where the sum is settled once it is added.
        weights: `(cells,) float32` each, what its logits count; they sum to 1 at each position.
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    weights: list[np.ndarray]


def _side(starts: tuple[int, ...], stride: int, cells: int) -> _Side:
    """A window counts most at its center, and falls off linearly to its edges."""
    starts = tuple(start // stride for start in starts)
    length = starts[-1] + cells
    ramp = np.minimum(np.arange(1, cells + 1), np.arange(cells, 0, -1)).astype(np.float32)
    total = np.zeros(length, np.float32)
    for start in starts:
        total[start : start + cells] += ramp
    weights = [ramp / total[start : start + cells] for start in starts]
    return _Side(starts, (*starts[1:], length), weights)


def grid_size(tiling: Tiling, stride: int) -> tuple[int, int]:
    """Height and width of the grid of logits over all windows."""
    cells = (tiling.window - 1) // stride + 1
    return tiling.rows[-1] // stride + cells, tiling.cols[-1] // stride + cells


def blend(
    tiling: Tiling, logits: Iterable[np.ndarray], stride: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """The blended logits of the whole image, block by block, as soon as they are settled.

    A window counts most at its center, where it sees most around a pixel. What is held meanwhile
    is a window's logits and, over the image's width, as many rows as windows have in common.

    Args:
        tiling: Where the windows lie.
        logits: `(h, w, classes) float32` of each window, row by row.
        stride: Pixels between two logits.

    Yields:
        `(top, left, (h, w, classes) float32)`: a block of the grid whose first row and column, but
        at the image's edge, are the last of the blocks before it, so that pixels between them
        can be interpolated.
    """
    logits = iter(logits)
    cells = (tiling.window - 1) // stride + 1
    rows, cols = (_side(starts, stride, cells) for starts in (tiling.rows, tiling.cols))
    shared = max((cells + a - b for a, b in itertools.pairwise(rows.starts)), default=0)
    above = last_row = None  # sums that the next row of windows adds to; the last settled row
    for top, bottom, down in zip(*rows, strict=True):
        beside = last_col = None
        height = bottom - top
        for left, right, across in zip(*cols, strict=True):
            sums = next(logits) * (down[:, None] * across)[..., None]
            if above is None or last_row is None:
                width, classes = cols.ends[-1], sums.shape[-1]
                above = np.zeros((shared, width, classes), np.float32)
                last_row = np.empty((width, classes), np.float32)
            if beside is not None:
                sums[:, : beside.shape[1]] += beside
            here = slice(left, right)
            beside, sums = sums[:, right - left :], sums[:, : right - left]
            sums[:shared] += above[:, here]
            above[:, here] = 0
            above[: cells - height, here] = sums[height:]
            block = np.empty(
                (bool(top) + height, bool(left) + right - left, sums.shape[-1]), np.float32
            )
            block[bool(top) :, bool(left) :] = sums[:height]
            if top:
                block[0, bool(left) :] = last_row[here]
            if last_col is not None:
                block[:, 0] = last_col
            last_row[here], last_col = block[-1, bool(left) :], block[:, -1].copy()
            yield top - bool(top), left - bool(left), block
            del block  # there is one less in memory while the next is made
