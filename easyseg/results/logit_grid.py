"""Labels and probabilities at the image's own size, from logits at the network's output size.

Upsampling the logits of 151 classes to a 12-megapixel image would take 7 GB. Bilinear interpolation
is monotone: where the four corners of a cell of the grid have the same argmax, so has every pixel
in it. The other cells are divided into blocks, to which the same applies. Only the pixels of blocks
that remain undecided are interpolated, a bounded number at a time, for the classes that can win.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

CHUNK = 1 << 22  # floats interpolated at once: 16 MB
PIXELS = 1 << 15  # pixels interpolated at once, few enough for the CPU cache
MIN_BLOCK = 4  # smallest side of a block in pixels


class LogitGrid(NamedTuple):
    """Logits, and the positions of the image's pixels on their grid.

    Attributes:
        logits: `(h, w, classes) float32`.
        rows: `(H,) float64`, position of each row of the image, in cells of the grid: 0 to h - 1,
            ascending.
        cols: `(W,) float64`, the same for the columns.
    """

    logits: np.ndarray
    rows: np.ndarray
    cols: np.ndarray

    def labels(self) -> np.ndarray:
        """Argmax of the bilinearly upsampled logits, `(H, W) uint8` (uint16 above 256 classes)."""
        # without the cells that lie beside the image, on the padding of the input
        logits = self.logits[: int(self.rows[-1]) + 2, : int(self.cols[-1]) + 2]
        height, width, classes = logits.shape
        size = len(self.rows), len(self.cols)
        labels = np.empty(size, np.uint8 if classes <= 256 else np.uint16)
        parts = _parts(max(size[0] / height, size[1] / width))
        across = _side(self.cols, width, parts)
        step = max(1, CHUNK // (4 * width * classes))
        for top in range(0, height, step):  # bounds the memory
            begin, end = np.searchsorted(self.rows, (top, top + step))
            if begin < end:
                down = _side(self.rows[begin:end] - top, min(step, height - top), parts)
                _label(labels[begin:end], logits[top : top + step + 1], down, across, parts)
        return labels

    def confidence(self) -> np.ndarray:
        """Highest softmax probability of each pixel, `(H, W) float32`, 0 to 1."""
        return self._map(lambda e: e.max(-1) / e.sum(-1))

    def probability(self, ids: Sequence[int]) -> np.ndarray:
        """Softmax probability that a pixel is one of the classes, `(H, W) float32`, 0 to 1."""
        chosen = list(ids)
        return self._map(lambda e: e[..., chosen].sum(-1) / e.sum(-1))

    def _map(self, reduce: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """`reduce` of the exponentials of the upsampled logits, for all pixels."""
        out = np.empty((len(self.rows), len(self.cols)), np.float32)
        for stripe, values in self._upsampled():
            out[stripe] = reduce(np.exp(values - values.max(-1, keepdims=True)))
        return out

    def _upsampled(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Stripes of rows with their logits `(rows, W, classes)`."""
        width = max(len(self.cols), self.logits.shape[1])
        height = max(1, CHUNK // (width * self.logits.shape[-1]))
        for start in range(0, len(self.rows), height):
            stripe = slice(start, start + height)
            yield stripe, _lerp(_lerp(self.logits, self.rows[stripe], 0), self.cols, 1)


class _Side(NamedTuple):
    """Rows (or columns) of the image, by the blocks into which cells are divided.

    Attributes:
        block: `(n,)`, the block of each row.
        fraction: `(n,) float32`, its position in its cell, 0 (top) to 1.
        first: `(blocks,)`, the first row of each block.
        length: `(blocks,)`, its number of rows.
    """

    block: np.ndarray
    fraction: np.ndarray
    first: np.ndarray
    length: np.ndarray

    def rows_of(self, blocks: np.ndarray) -> np.ndarray:
        """The rows of blocks, `(n, longest)`; the last is repeated in shorter blocks."""
        count = self.length[blocks, None]
        return self.first[blocks, None] + np.minimum(np.arange(count.max(initial=0)), count - 1)


class _Candidates(NamedTuple):
    """Cells, or blocks of cells, in which the same number k of classes can win.

    Attributes:
        y: `(n,)`, rows of the cells or blocks.
        x: `(n,)`, their columns.
        ids: `(k, n)`, the classes, ascending.
        logits: `(k, n, 4)`, at the corners of the cells.
    """

    y: np.ndarray
    x: np.ndarray
    ids: np.ndarray
    logits: np.ndarray

    def split(self, count: int) -> Iterator[_Candidates]:
        """The same in parts of `count`."""
        for start in range(0, len(self.y), max(1, count)):
            some = slice(start, start + max(1, count))
            yield _Candidates(self.y[some], self.x[some], self.ids[:, some], self.logits[:, some])

    def winners(self, dy: np.ndarray, dx: np.ndarray) -> np.ndarray:
        """The class with the highest interpolated logit, the first of equal ones, `(n, h, w)`.

        Args:
            dy: `(n, h)` or `(1, h)`, vertical positions in the cell, 0 to 1.
            dx: `(n, w)` or `(1, w)`, horizontal positions.
        """
        for k, (ids, logits) in enumerate(zip(self.ids, self.logits, strict=True)):
            corner = logits.T[..., None]
            left = corner[0] * (1 - dy) + corner[2] * dy
            right = corner[1] * (1 - dy) + corner[3] * dy
            logit = left[..., None] * (1 - dx)[:, None] + right[..., None] * dx[:, None]
            if k == 0:
                best, winners = logit, np.empty(logit.shape, ids.dtype)
                winners[:] = ids[:, None, None]
            else:
                np.copyto(winners, ids[:, None, None], where=logit > best)
                np.maximum(best, logit, out=best)
        return winners


def _parts(pixels: float) -> int:
    """Blocks per side of a cell of this many pixels: a power of two."""
    return 1 << max(0, int(np.log2(max(pixels, 1) / MIN_BLOCK)))


def _side(at: np.ndarray, cells: int, parts: int) -> _Side:
    block = (at * parts).astype(np.intp)
    count = np.bincount(block, minlength=cells * parts)
    return _Side(block, np.modf(at)[0].astype(np.float32), np.cumsum(count) - count, count)


def _label(labels: np.ndarray, logits: np.ndarray, down: _Side, across: _Side, parts: int) -> None:
    """Sets the labels of some rows of cells.

    Args:
        labels: `(H, W)`, set.
        logits: `(h + 1, w, classes)` for h rows of cells; `(h, w, classes)` at the lower edge.
        down: The image's rows.
        across: The image's columns.
        parts: Blocks per side of a cell.
    """
    top = logits.argmax(-1).astype(labels.dtype)
    agree = np.logical_and.reduce([top == corner for corner in _corners(top)[1:]])
    cells = slice(len(down.length) // parts)
    fine = top[cells].repeat(parts, 0).repeat(parts, 1)
    y, x = np.nonzero(~agree[cells])
    undecided = [
        _decide(part, fine, down, across, parts)
        for candidates in _candidates(logits, top, y, x)
        for part in candidates.split(PIXELS // (parts + 1) ** 2)
    ]
    labels[:] = np.take(fine, across.block, 1)[down.block]
    most = down.length.max() * across.length.max()
    for candidates in undecided:
        for part in candidates.split(PIXELS // most):
            rows, cols = down.rows_of(part.y), across.rows_of(part.x)
            winners = part.winners(down.fraction[rows], across.fraction[cols])
            labels[rows[:, :, None], cols[:, None]] = winners


def _decide(
    candidates: _Candidates, fine: np.ndarray, down: _Side, across: _Side, parts: int
) -> _Candidates:
    """Sets the classes of blocks of cells, `fine`; returns the blocks that remain undecided.

    Blocks without pixels are not among them.
    """
    fraction = np.arange(parts + 1, dtype=np.float32)[None] / parts
    corners = candidates.winners(fraction, fraction)
    winner = corners[:, :-1, :-1]
    steps = np.arange(parts)
    rows = candidates.y[:, None] * parts + steps
    cols = candidates.x[:, None] * parts + steps
    fine[rows[:, :, None], cols[:, None]] = winner
    undecided = corners[:, 1:, 1:] != winner
    undecided |= corners[:, :-1, 1:] != winner
    undecided |= corners[:, 1:, :-1] != winner
    undecided &= (down.length[rows] > 0)[:, :, None] & (across.length[cols] > 0)[:, None]
    cell, i, j = np.nonzero(undecided)
    return _Candidates(
        rows[cell, i], cols[cell, j], candidates.ids[:, cell], candidates.logits[:, cell]
    )


def _candidates(
    logits: np.ndarray, top: np.ndarray, y: np.ndarray, x: np.ndarray
) -> Iterator[_Candidates]:
    """Cells by the number of classes that can win in them.

    A class cannot win if it is below the winner of one corner at all four corners, because
    interpolation is monotone.

    Args:
        logits: `(h, w, classes)`.
        top: `(h, w)`, their winners.
        y: `(n,)`, rows of the cells.
        x: `(n,)`, their columns.
    """
    below, right = np.minimum(y + 1, top.shape[0] - 1), np.minimum(x + 1, top.shape[1] - 1)
    places = [(y, x), (y, right), (below, x), (below, right)]
    corners = [logits[place] for place in places]
    cells = np.arange(len(y))
    rivals = np.stack(  # (n, winner, corner)
        [np.stack([corner[cells, top[place]] for corner in corners], 1) for place in places], 1
    )
    least = rivals.min(2).max(1)  # lower bound of a winner; excludes most classes
    cell, ids = np.nonzero(np.maximum.reduce(corners) >= least[:, None])
    values = np.stack([corner[cell, ids] for corner in corners], 1)
    possible = np.all(np.any(values[:, None] >= rivals[cell], axis=2), axis=1)
    cell, ids, values = cell[possible], ids[possible].astype(top.dtype), values[possible]
    counts = np.bincount(cell, minlength=len(y))
    for count in np.unique(counts[cell]):
        selected = counts == count
        entries = selected[cell]
        yield _Candidates(
            y[selected],
            x[selected],
            ids[entries].reshape(-1, count).T,
            values[entries].reshape(-1, count, 4).transpose(1, 0, 2),
        )


def _corners(grid: np.ndarray) -> list[np.ndarray]:
    """The four corners of each cell; at the right and bottom edge cells have no extent."""
    right = np.concatenate([grid[:, 1:], grid[:, -1:]], 1)
    return [grid, right, *(np.concatenate([g[1:], g[-1:]]) for g in (grid, right))]


def _lerp(grid: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    below = at.astype(np.intp)
    above = np.minimum(below + 1, grid.shape[axis] - 1)
    fraction = (at - below).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
    return np.take(grid, below, axis) * (1 - fraction) + np.take(grid, above, axis) * fraction
