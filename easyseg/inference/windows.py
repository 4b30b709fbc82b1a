"""From the logits of windows to those of the image, or to its labels where they are many."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from easyseg.inference.tiling import Tiling, blend, grid_size
from easyseg.results.logit_grid import LogitGrid

__all__ = ["joined"]

KEEP = 64 * 2**20  # bytes of logits that are kept at most


def joined(
    tiling: Tiling, logits: Iterable[np.ndarray], size: tuple[int, int], stride: int, classes: int
) -> tuple[LogitGrid | None, np.ndarray | None]:
    """The grid of an image's logits, if they are not too many to keep, or else its labels.

    Args:
        tiling: Where the windows lie.
        logits: `(h, w, classes) float32` of each window, row by row.
        size: Height and width of the image.
        stride: Pixels between two logits.
        classes: How many there are.
    """
    blocks = blend(tiling, logits, stride)
    rows, cols = (np.arange(side) / stride for side in size)
    cells = grid_size(tiling, stride)
    if 4 * cells[0] * cells[1] * classes <= KEEP:
        whole = np.empty((*cells, classes), np.float32)
        for top, left, block in blocks:
            whole[top : top + block.shape[0], left : left + block.shape[1]] = block
        return LogitGrid(whole, rows, cols), None
    labels = np.empty(size, np.uint8 if classes <= 256 else np.uint16)
    for top, left, block in blocks:
        down, across = (
            _between(start, count, stride)
            for start, count in zip((top, left), block.shape, strict=False)
        )
        part = LogitGrid(block, rows[down] - top, cols[across] - left)
        labels[down, across] = part.labels()
    return None, labels


def _between(start: int, count: int, stride: int) -> slice:
    """The pixels after a position of the grid, or from the first on, up to `count - 1` further."""
    return slice(start * stride + bool(start), (start + count - 1) * stride + 1)
