"""Labels and probabilities at the image's own size, from logits at the network's.

Enlarging the logits of 151 classes to a 12-megapixel image would take 7 GB. Interpolation keeps
order, so where the four corners of a logit cell agree on the winner the whole cell is decided.
The other cells are cut into pieces, for which the same holds. Only the pixels of the pieces that
are still open are interpolated, a bounded number at a time, for the few classes that can win.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["LogitGrid"]

CHUNK = 1 << 22  # floats interpolated at once: 16 MB
BLOCK = 1 << 15  # pixels interpolated at once, few enough for the processor's cache
PIECE = 4  # pixels of a piece's side, at least


class LogitGrid(NamedTuple):
    """Logits, and where the image's pixels lie between them.

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
        """Argmax of the bilinearly enlarged logits, `(H, W) uint8` (uint16 above 256 classes)."""
        height, width, classes = self.logits.shape
        size = len(self.rows), len(self.cols)
        labels = np.empty(size, np.uint8 if classes <= 256 else np.uint16)
        parts = _parts(max(size[0] / height, size[1] / width))
        across = _side(self.cols, width, parts)
        step = max(1, CHUNK // (4 * width * classes))
        for top in range(0, height, step):  # bounds what is known of open cells
            begin, end = np.searchsorted(self.rows, (top, top + step))
            if begin < end:
                down = _side(self.rows[begin:end] - top, min(step, height - top), parts)
                _label(labels[begin:end], self.logits[top : top + step + 1], down, across, parts)
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


class _Side(NamedTuple):
    """Rows of the image, or columns, in the pieces into which the sides of cells are cut.

    Attributes:
        piece: `(n,)`, where each row lies.
        share: `(n,) float32`, how far below the upper corners of its cell, 0 to 1.
        first: `(pieces,)`, each piece's first row.
        length: `(pieces,)`, how many rows it has.
    """

    piece: np.ndarray
    share: np.ndarray
    first: np.ndarray
    length: np.ndarray

    def rows_of(self, pieces: np.ndarray) -> np.ndarray:
        """The rows of pieces, `(n, most)`; the last is repeated where a piece has fewer."""
        count = self.length[pieces, None]
        return self.first[pieces, None] + np.minimum(np.arange(count.max(initial=0)), count - 1)


class _Candidates(NamedTuple):
    """Cells, or pieces of cells, in which equally many classes can win.

    Attributes:
        y: `(n,)`, rows of the cells or pieces.
        x: `(n,)`, their columns.
        ids: `(k, n)`, the classes, ascending.
        logits: `(k, n, 4)`, at the corners of the cells.
    """

    y: np.ndarray
    x: np.ndarray
    ids: np.ndarray
    logits: np.ndarray

    def split(self, count: int) -> Iterator[_Candidates]:
        """The same, so many at a time."""
        for start in range(0, len(self.y), max(1, count)):
            some = slice(start, start + max(1, count))
            yield _Candidates(self.y[some], self.x[some], self.ids[:, some], self.logits[:, some])

    def winners(self, dy: np.ndarray, dx: np.ndarray) -> np.ndarray:
        """The class with the highest interpolated logit, the first of equal ones, `(n, h, w)`.

        Args:
            dy: `(n, h)` or `(1, h)`, how far below the upper corners, 0 to 1.
            dx: `(n, w)` or `(1, w)`, how far to the right.
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
    """Into how many pieces a cell's side of so many pixels is cut: a power of two."""
    return 1 << max(0, int(np.log2(max(pixels, 1) / PIECE)))


def _side(at: np.ndarray, cells: int, parts: int) -> _Side:
    piece = (at * parts).astype(np.intp)
    count = np.bincount(piece, minlength=cells * parts)
    return _Side(piece, np.modf(at)[0].astype(np.float32), np.cumsum(count) - count, count)


def _label(labels: np.ndarray, logits: np.ndarray, down: _Side, across: _Side, parts: int) -> None:
    """Sets the labels of some rows of cells.

    Args:
        labels: `(H, W)`, set.
        logits: `(h + 1, w, classes)` for h rows of cells; `(h, w, classes)` at the lower edge.
        down: The image's rows.
        across: The image's columns.
        parts: Into how many pieces a cell's side is cut.
    """
    top = logits.argmax(-1).astype(labels.dtype)
    agree = np.logical_and.reduce([top == corner for corner in _corners(top)[1:]])
    cells = slice(len(down.length) // parts)
    fine = top[cells].repeat(parts, 0).repeat(parts, 1)
    y, x = np.nonzero(~agree[cells])
    undecided = [
        _decide(some, fine, down, across, parts)
        for contest in _candidates(logits, top, y, x)
        for some in contest.split(BLOCK // (parts + 1) ** 2)
    ]
    labels[:] = np.take(fine, across.piece, 1)[down.piece]
    most = down.length.max() * across.length.max()
    for contest in undecided:
        for some in contest.split(BLOCK // most):
            rows, cols = down.rows_of(some.y), across.rows_of(some.x)
            winners = some.winners(down.share[rows], across.share[cols])
            labels[rows[:, :, None], cols[:, None]] = winners


def _decide(
    contest: _Candidates, fine: np.ndarray, down: _Side, across: _Side, parts: int
) -> _Candidates:
    """Sets the classes of the pieces of cells, `fine`; gives those that their corners leave open.

    Pieces without pixels are not among them.
    """
    share = np.arange(parts + 1, dtype=np.float32)[None] / parts
    corners = contest.winners(share, share)
    winner = corners[:, :-1, :-1]
    steps = np.arange(parts)
    rows = contest.y[:, None] * parts + steps
    cols = contest.x[:, None] * parts + steps
    fine[rows[:, :, None], cols[:, None]] = winner
    still = corners[:, 1:, 1:] != winner
    still |= corners[:, :-1, 1:] != winner
    still |= corners[:, 1:, :-1] != winner
    still &= (down.length[rows] > 0)[:, :, None] & (across.length[cols] > 0)[:, None]
    cell, i, j = np.nonzero(still)
    return _Candidates(rows[cell, i], cols[cell, j], contest.ids[:, cell], contest.logits[:, cell])


def _candidates(
    logits: np.ndarray, top: np.ndarray, y: np.ndarray, x: np.ndarray
) -> Iterator[_Candidates]:
    """Cells by the number of classes that can win in them.

    A class cannot that is nowhere above the winner of a corner: interpolation keeps order.

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
    least = rivals.min(2).max(1)  # a winner is nowhere below it, which rules out most classes
    cell, ids = np.nonzero(np.maximum.reduce(corners) >= least[:, None])
    values = np.stack([corner[cell, ids] for corner in corners], 1)
    possible = np.all(np.any(values[:, None] >= rivals[cell], axis=2), axis=1)
    cell, ids, values = cell[possible], ids[possible].astype(top.dtype), values[possible]
    counts = np.bincount(cell, minlength=len(y))
    for count in np.unique(counts[cell]):
        alike = counts == count
        mine = alike[cell]
        yield _Candidates(
            y[alike],
            x[alike],
            ids[mine].reshape(-1, count).T,
            values[mine].reshape(-1, count, 4).transpose(1, 0, 2),
        )


def _corners(grid: np.ndarray) -> list[np.ndarray]:
    """The four corners of each cell; at the far edges cells have no extent."""
    right = np.concatenate([grid[:, 1:], grid[:, -1:]], 1)
    return [grid, right, *(np.concatenate([g[1:], g[-1:]]) for g in (grid, right))]


def _lerp(grid: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    below = at.astype(np.intp)
    above = np.minimum(below + 1, grid.shape[axis] - 1)
    share = (at - below).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
    return np.take(grid, below, axis) * (1 - share) + np.take(grid, above, axis) * share
