"""Labels and probabilities at the photo's own size, from logits at the network's.

Enlarging the logits of 151 classes to a 12-megapixel photo would take 7 GB. Interpolation keeps
order, so where the four corners of a logit cell agree on the winner the whole cell is decided;
only pixels in the other cells are interpolated, a bounded number at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["LogitGrid"]

CHUNK = 1 << 22  # floats interpolated at once: 16 MB


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
        right, down, diagonal = _neighbour(top, 0, 1), _neighbour(top, 1, 0), _neighbour(top, 1, 1)
        agree = (top == right) & (top == down) & (top == diagonal)
        y, x = self.rows.astype(np.intp), self.cols.astype(np.intp)
        labels = top[y][:, x]
        for start in range(0, len(y), 256):  # rows at once: bounds the list of open pixels
            stripe = slice(start, start + 256)
            open_rows, open_cols = np.nonzero(~agree[y[stripe]][:, x])
            open_rows += start
            for at in range(0, len(open_rows), max(1, CHUNK // classes)):
                i, j = (
                    index[at : at + max(1, CHUNK // classes)] for index in (open_rows, open_cols)
                )
                labels[i, j] = self._at_pixels(i, j).argmax(-1)
        return labels

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

    def _at_pixels(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Logits `(n, classes)` of the pixels `(i, j)` of the photo."""
        height, width = self.logits.shape[:2]
        y, x = self.rows[i].astype(np.intp), self.cols[j].astype(np.intp)
        y1, x1 = np.minimum(y + 1, height - 1), np.minimum(x + 1, width - 1)
        dy = (self.rows[i] - y).astype(np.float32)[:, None]
        dx = (self.cols[j] - x).astype(np.float32)[:, None]
        upper = self.logits[y, x] * (1 - dx) + self.logits[y, x1] * dx
        lower = self.logits[y1, x] * (1 - dx) + self.logits[y1, x1] * dx
        return upper * (1 - dy) + lower * dy


def _neighbour(grid: np.ndarray, down: int, right: int) -> np.ndarray:
    """Each cell's neighbour in that direction; at the far edge the cell itself."""
    return np.pad(grid, ((0, down), (0, right)), mode="edge")[down:, right:]


def _lerp(grid: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    below = at.astype(np.intp)
    above = np.minimum(below + 1, grid.shape[axis] - 1)
    share = (at - below).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
    return np.take(grid, below, axis) * (1 - share) + np.take(grid, above, axis) * share
