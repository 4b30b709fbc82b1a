"""Large images in overlapping tiles, whose logits are blended tile by tile.

Tiles lie a multiple of `UNIT` pixels apart and are `k * UNIT + 1` pixels wide, so that the logits
of all of them lie on one grid over the image, and blending needs no resampling.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from easyseg.results.logit_grid import LogitGrid

UNIT = 32  # a multiple of every output stride
OVERLAP = 0.25  # fraction of a tile that its neighbor covers too
MAX_LOGIT_BYTES = 64 * 2**20  # above it only the labels of an image are kept


class Tiling(NamedTuple):
    """Where the tiles lie.

    Attributes:
        side: Height and width of a tile, in pixels.
        rows: Top of each row of tiles, in pixels.
        cols: Left of each column.
    """

    side: int
    rows: tuple[int, ...]
    cols: tuple[int, ...]


def tile_side(pixels: int) -> int:
    """The side of a tile: `pixels`, or the next that is `k * UNIT + 1`."""
    return -(-(int(pixels) - 1) // UNIT) * UNIT + 1


def tile(size: tuple[int, int], side: int) -> Tiling:
    """Covers an image of `(height, width)` with tiles, some beyond its bottom and right edges."""
    step = max(UNIT, int((1 - OVERLAP) * side) // UNIT * UNIT)
    rows, cols = (_starts(length, side, step) for length in size)
    return Tiling(side, rows, cols)


def _starts(length: int, side: int, step: int) -> tuple[int, ...]:
    """Evenly from the first to the last, at most `step` apart."""
    last = max(0, -(-(length - side) // UNIT) * UNIT)
    count = -(-last // step)
    return tuple(i * last // max(count, 1) // UNIT * UNIT for i in range(count + 1))


class _Axis(NamedTuple):
    """The tiles along one axis of the grid of logits.

    Attributes:
        starts: Where each begins.
        ends: Up to where the sum is complete once it is added.
        weights: `(cells,) float32` each, of its logits; they sum to 1 at each position.
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    weights: list[np.ndarray]


def _axis(starts: tuple[int, ...], stride: int, cells: int) -> _Axis:
    """A tile's weight is highest at its center, and falls linearly to its edges."""
    starts = tuple(start // stride for start in starts)
    length = starts[-1] + cells
    ramp = np.minimum(np.arange(1, cells + 1), np.arange(cells, 0, -1)).astype(np.float32)
    total = np.zeros(length, np.float32)
    for start in starts:
        total[start : start + cells] += ramp
    weights = [ramp / total[start : start + cells] for start in starts]
    return _Axis(starts, (*starts[1:], length), weights)


def grid_size(tiling: Tiling, stride: int) -> tuple[int, int]:
    """Height and width of the grid of logits over all tiles."""
    cells = (tiling.side - 1) // stride + 1
    return tiling.rows[-1] // stride + cells, tiling.cols[-1] // stride + cells


def first_row_for(tiling: Tiling, row: int, stride: int) -> int:
    """The first row of tiles that the blocks of a later row of tiles depend on."""
    complete = tiling.rows[row] // stride - 1  # the blocks begin with this row of the grid
    cells = (tiling.side - 1) // stride + 1
    return next(i for i, top in enumerate(tiling.rows) if top // stride + cells > complete)


def blend(
    tiling: Tiling, logits: Iterable[np.ndarray], stride: int, *, first: int = 0
) -> Iterator[tuple[int, int, np.ndarray]]:
    """The blended logits of the whole image, block by block, as soon as they are complete.

    A tile's weight is highest at its center, where it has most context around a pixel. In memory
    are a tile's logits and, over the image's width, as many rows as tiles overlap.

    Args:
        tiling: Where the tiles lie.
        logits: Of each tile, from row `first` on; those of a row from left to right.
        stride: Pixels between two logits.
        first: The row of tiles to begin with. The blocks are complete from the row on whose
            `first_row_for` it is.

    Yields:
        `(top, left, (h, w, classes) float32)`: a block of the grid whose first row and column,
        except at the image's edge, are the last of the blocks before it, so that pixels between
        them can be interpolated.
    """
    logits = iter(logits)
    cells = (tiling.side - 1) // stride + 1
    rows, cols = (_axis(starts, stride, cells) for starts in (tiling.rows, tiling.cols))
    overlap = max((cells + a - b for a, b in itertools.pairwise(rows.starts)), default=0)
    above = last_row = None  # sums that the next row of tiles adds to; the last complete row
    for top, bottom, down in itertools.islice(zip(*rows, strict=True), first, None):
        beside = last_col = None
        height = bottom - top
        for left, right, across in zip(*cols, strict=True):
            sums = next(logits) * (down[:, None] * across)[..., None]
            if above is None or last_row is None:
                width, classes = cols.ends[-1], sums.shape[-1]
                above = np.zeros((overlap, width, classes), np.float32)
                last_row = np.empty((width, classes), np.float32)
            if beside is not None:
                sums[:, : beside.shape[1]] += beside
            here = slice(left, right)
            beside, sums = sums[:, right - left :], sums[:, : right - left]
            sums[:overlap] += above[:, here]
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
            del block  # so that only one is in memory


def join_tiles(
    tiling: Tiling, logits: Iterable[np.ndarray], size: tuple[int, int], stride: int, classes: int
) -> tuple[LogitGrid | None, np.ndarray | None]:
    """The grid of an image's logits or, where they exceed `MAX_LOGIT_BYTES`, its labels.

    Returns:
        The grid and `None`, or `None` and `(H, W)` ids, uint8 (uint16 above 256 classes).
    """
    blocks = blend(tiling, logits, stride)
    rows, cols = (np.arange(length) / stride for length in size)
    cells = grid_size(tiling, stride)
    if 4 * cells[0] * cells[1] * classes <= MAX_LOGIT_BYTES:
        whole = np.empty((*cells, classes), np.float32)
        for top, left, block in blocks:
            whole[top : top + block.shape[0], left : left + block.shape[1]] = block
        return LogitGrid(whole, rows, cols), None
    labels = np.empty(size, np.uint8 if classes <= 256 else np.uint16)
    for down, across, part in label_blocks(blocks, size, stride):
        labels[down, across] = part
    return None, labels


def label_blocks(
    blocks: Iterable[tuple[int, int, np.ndarray]], size: tuple[int, int], stride: int
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """The labels of an image, block by block, from what `blend` gives.

    Yields:
        Rows, columns and their `(h, w)` ids, uint8 (uint16 above 256 classes); each pixel once.
    """
    rows, cols = (np.arange(length) / stride for length in size)
    for top, left, block in blocks:
        down, across = (
            _pixels(start, count, stride)
            for start, count in zip((top, left), block.shape, strict=False)
        )
        part = LogitGrid(block, rows[down] - top, cols[across] - left)
        yield down, across, part.labels()


def _pixels(start: int, count: int, stride: int) -> slice:
    """The pixels that a block decides: without its first row, which the block before decided."""
    return slice(start * stride + bool(start), (start + count - 1) * stride + 1)
