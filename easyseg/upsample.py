"""Labels and probabilities at the photo's own size, from logits at the network's.

Enlarging the logits of 151 classes to a 12-megapixel photo would take 7 GB. Interpolation keeps
order, so where the four corners of a logit cell agree on the winner the whole cell is decided.
Only pixels in the other cells are interpolated, a bounded number at a time, and only for the few
classes that can win there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["LogitGrid"]

CHUNK = 1 << 22  # floats interpolated at once: 16 MB
STRIPE = 256  # rows of the photo that are settled at once


class LogitGrid(NamedTuple):
    """Logits, and where the photo's pixels lie between them.

    Attributes:
        logits: `(h, w, classes) float32`.
        rows: `(H,) float64`, position of each row of the photo, in cells of the grid: 0 to h - 1.
        cols: `(W,) float64`, the same for the columns.
    """

    logits: np.ndarray
    rows: np.ndarray
    cols: np.ndarray

    def labels(self) -> np.ndarray:
        """Argmax of the bilinearly enlarged logits, `(H, W) uint8` (uint16 above 256 classes)."""
        classes = self.logits.shape[-1]
        top = self.logits.argmax(-1).astype(np.uint8 if classes <= 256 else np.uint16)
        agree = np.logical_and.reduce([top == corner for corner in _corners(top)[1:]])
        y, x = self.rows.astype(np.intp), self.cols.astype(np.intp)
        labels = top[y][:, x]
        for start in range(0, len(y), STRIPE):  # bounds the list of open pixels
            stripe = slice(start, start + STRIPE)
            cells = np.zeros(top.shape, bool)
            cells[y[stripe][0] : y[stripe][-1] + 1] = True
            self._settle(labels[stripe], y[stripe], x, cells & ~agree, stripe)
        return labels

    def _settle(
        self, labels: np.ndarray, y: np.ndarray, x: np.ndarray, cells: np.ndarray, stripe: slice
    ) -> None:
        """Sets the labels of a stripe of rows where the cells are open."""
        number = np.full(cells.shape, -1, np.int32)
        number[cells] = np.arange(np.count_nonzero(cells))
        height, width, classes = self.logits.shape
        place = _corners(np.arange(height * width).reshape(height, width))
        corners = self.logits.reshape(-1, classes)[np.stack([at[cells] for at in place], 1)]
        possible = _possible(corners)
        counts = possible.sum(-1)
        cell = number[y][:, x]
        pixels = np.flatnonzero(cell >= 0)
        cell = cell.ravel()[pixels]
        dy, dx = (np.modf(at)[0].astype(np.float32) for at in (self.rows[stripe], self.cols))
        pixel_counts = counts[cell]
        for count in np.unique(counts):
            alike = np.flatnonzero(counts == count)
            ids = np.nonzero(possible[alike])[1].reshape(-1, count)
            values = np.take_along_axis(corners[alike], ids[:, None], -1)
            number_here = np.empty(len(counts), np.int32)
            number_here[alike] = np.arange(len(alike))
            mine = np.flatnonzero(pixel_counts == count)
            for some in np.split(mine, range(CHUNK // 8, len(mine), max(1, CHUNK // 8))):
                i, j = np.divmod(pixels[some], len(x))
                here = number_here[cell[some]]
                labels[i, j] = ids[here, _highest(values, here, dy[i], dx[j])]

    def confidence(self) -> np.ndarray:
        """Highest softmax probability of each pixel, `(H, W) float32`, 0 to 1."""
        return self._map(lambda e: e.max(-1) / e.sum(-1))

    def probability(self, ids: Sequence[int]) -> np.ndarray:
        """Softmax probability that a pixel is one of the classes, `(H, W) float32`, 0 to 1."""
        chosen = list(ids)
        return self._map(lambda e: e[..., chosen].sum(-1) / e.sum(-1))

    def _map(self, reduce: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """`reduce` of the exponentials of the enlarged logits, for all pixels."""
        out = np.empty((len(self.rows), len(self.cols)), np.float32)
        for stripe, values in self._enlarged():
            out[stripe] = reduce(np.exp(values - values.max(-1, keepdims=True)))
        return out

    def _enlarged(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Stripes of rows with their logits `(rows, W, classes)`."""
        width = max(len(self.cols), self.logits.shape[1])
        height = max(1, CHUNK // (width * self.logits.shape[-1]))
        for start in range(0, len(self.rows), height):
            stripe = slice(start, start + height)
            yield stripe, _lerp(_lerp(self.logits, self.rows[stripe], 0), self.cols, 1)


def _corners(grid: np.ndarray) -> list[np.ndarray]:
    """The four corners of each cell; at the far edges cells have no extent."""
    right = np.concatenate([grid[:, 1:], grid[:, -1:]], 1)
    return [grid, right, *(np.concatenate([g[1:], g[-1:]]) for g in (grid, right))]


def _possible(corners: np.ndarray) -> np.ndarray:
    """Which classes can win somewhere in each cell, `(n, classes) bool`.

    A class cannot that is nowhere above the winner of a corner: interpolation keeps order.

    Args:
        corners: `(n, 4, classes)` logits.
    """
    winners = corners.argmax(-1)
    possible = np.ones(corners[:, 0].shape, bool)
    for i, winner in enumerate(winners.T):
        new = np.flatnonzero((winners[:, :i] != winner[:, None]).all(-1))
        values = corners[new]
        best = np.take_along_axis(values, winner[new, None, None], -1)
        possible[new] &= (values >= best).any(1)
    return possible


def _highest(values: np.ndarray, cell: np.ndarray, dy: np.ndarray, dx: np.ndarray) -> np.ndarray:
    """Which of the interpolated values is the highest, the first of equal ones.

    Args:
        values: `(cells, 4, k)`, at the corners of cells.
        cell: `(n,)`, each pixel's cell.
        dy: `(n,)`, how far below the cell's upper corners the pixel lies, 0 to 1.
        dx: `(n,)`, how far to the right.
    """
    highest = np.zeros(len(cell), np.intp)
    best = np.full(len(cell), -np.inf, np.float32)
    for k in range(values.shape[-1]):  # few: NumPy's argmax is slow along a short axis
        corner = np.ascontiguousarray(values[..., k])[cell].T
        upper = corner[0] * (1 - dx) + corner[1] * dx
        lower = corner[2] * (1 - dx) + corner[3] * dx
        value = upper * (1 - dy) + lower * dy
        highest[value > best] = k
        np.maximum(best, value, out=best)
    return highest


def _lerp(grid: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    below = at.astype(np.intp)
    above = np.minimum(below + 1, grid.shape[axis] - 1)
    share = (at - below).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
    return np.take(grid, below, axis) * (1 - share) + np.take(grid, above, axis) * share
