"""From an image to the network's input and back: `fit` pads, and remembers where pixels went.

A `Letterboxed` says, for each row and column of the image, where it lies on the input canvas. The
logits are a grid over that canvas (`Letterboxed.on_grid`), so labels at the image's own size are the
argmax of the logits interpolated at those places (see `easyseg.results.logit_grid`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from easyseg.errors import InputError
from easyseg.utils.registry import Registry

__all__ = ["FITS", "Letterboxed", "fit_graph", "letterbox", "pad", "seen_size"]

MEAN_PIXEL = 127.5  # 0 after scaling to -1 to 1
NEARLY_FULL = 0.75  # share of the canvas's side from which an image is not enlarged


class Letterboxed(NamedTuple):
    """An image on the network's canvas.

    Attributes:
        canvas: `(h, w, 3) float32 RGB`, 0 to 255, gray where there is no image.
        rows: `(H,) float64`, where each row of the image lies on the canvas, in its pixels.
        cols: `(W,) float64`, the same for the columns.
    """

    canvas: np.ndarray
    rows: np.ndarray
    cols: np.ndarray

    def on_grid(
        self, cells: tuple[int, int], *, half_pixel: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """`rows` and `cols` in cells of logits `(h, w)` that cover the canvas.

        Args:
            cells: `(h, w)`.
            half_pixel: The edges of the canvas and of the logits agree, as in SegFormer; else the
                centers of their corners do, as in DeepLab.
        """
        rows, cols = (
            _clipped((at + 0.5) * (n / side) - 0.5, n)
            if half_pixel
            else at * ((n - 1) / max(side - 1, 1))
            for at, n, side in zip(
                (self.rows, self.cols), cells, self.canvas.shape[:2], strict=True
            )
        )
        return rows, cols


Fit = Callable[[np.ndarray, tuple[int, int]], Letterboxed]
FITS: Registry[Fit] = Registry("fit")


def letterbox(image: np.ndarray, size: tuple[int, int]) -> Letterboxed:
    """Pads an image to `size`; one that is larger is shrunk first, a small one enlarged.

    Images that nearly fill the canvas stay as they are, as in Google's evaluation. Much smaller
    ones would be seen at a scale that the networks were not trained for (`docs/parity.md` has
    figures).

    Args:
        image: `(H, W, 3) uint8 RGB`.
        size: Height and width of the canvas.
    """
    height, width = image.shape[:2]
    new = seen_size((height, width), size)
    if new < (height, width):
        image = _shrunk(image, new)
    elif new != (height, width):
        image = cv2.resize(image, new[::-1], interpolation=cv2.INTER_CUBIC)
    rows, cols = (
        _clipped((np.arange(n) + 0.5) * (m / n) - 0.5, m)
        for n, m in zip((height, width), new, strict=True)
    )
    return Letterboxed(pad(image, size), rows, cols)


def _shrunk(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Means over areas. Sides are halved first while they are much too long, which is faster."""
    height, width = image.shape[:2]
    while min(height / size[0], width / size[1]) >= 4 and height % 2 == width % 2 == 0:
        height, width = height // 2, width // 2
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)


def seen_size(image: tuple[int, int], canvas: tuple[int, int]) -> tuple[int, int]:
    """Height and width at which `letterbox` puts an image of this size on the canvas."""
    scale = min(canvas[0] / image[0], canvas[1] / image[1])
    if 1 <= scale <= 1 / NEARLY_FULL:
        return image
    return max(1, int(image[0] * scale)), max(1, int(image[1] * scale))


def fit_graph(
    source: np.ndarray, size: tuple[int, int], *, resize: bool = True, factor: int | None = None
) -> Letterboxed:
    """Does what Google's exported graph does, for comparison with it.

    With `resize`, the longest side becomes the shorter side of `size`, up or down, bilinear with
    aligned corners, without antialiasing; labels are taken at that size and spread to the
    image's by nearest neighbour. Without, the image must fit and is only padded.

    Args:
        image: `(H, W, 3) uint8 RGB`.
        size: Height and width of the canvas.
        resize: Whether the graph was exported with resizing.
        factor: The graph's `resize_factor`: sides grow to the next `k * factor + 1`.
    """
    old = source.shape[:2]
    if not resize and (old[0] > size[0] or old[1] > size[1]):
        raise InputError(
            f"an image of {old[1]}x{old[0]} does not fit the {size[1]}x{size[0]} input of a graph "
            'that does not resize; use fit="graph" or fit="image".'
        )
    new = graph_size(old, min(size), factor) if resize else old
    image = source.astype(np.float32)
    for axis in (1, 0):
        image = _resize_axis(image, new[axis], axis)
    rows, cols = (_nearest(n, m) for n, m in zip(old, new, strict=True))
    return Letterboxed(pad(image, size), rows, cols)


FITS.register("image")(letterbox)
FITS.register("graph")(fit_graph)
FITS.register("graph-noresize")(functools.partial(fit_graph, resize=False))


def graph_size(
    size: tuple[int, int], longest: int, factor: int | None = None, *, shortest: int | None = None
) -> tuple[int, int]:
    """The size to which Google's graph resizes: the rule of its `resize_to_range`, in float32.

    The shorter side becomes `shortest` (by default `longest`, so that the longest side counts)
    unless the longer one would exceed `longest`.
    """
    if factor is not None:
        longest -= (longest - 1) % factor
    shortest = longest if shortest is None else shortest
    height, width = (np.float32(side) for side in size)
    scale = np.float32(shortest) / min(height, width)
    new = [int(np.floor(side * scale)) for side in (height, width)]
    if max(new) > longest:
        scale = np.float32(longest) / max(height, width)
        new = [int(np.floor(side * scale)) for side in (height, width)]
    if factor is not None:
        new = [side + (factor - (side - 1) % factor) % factor for side in new]
    return new[0], new[1]


def _resize_axis(image: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Bilinear with aligned corners, positions in float32 as TensorFlow's kernel has them."""
    source = image.shape[axis]
    if source == length:
        return image
    step = np.float32(source - 1) / np.float32(max(length - 1, 1))
    at = np.arange(length, dtype=np.float32) * step
    below = np.minimum(at.astype(np.intp), source - 1)
    above = np.minimum(below + 1, source - 1)
    share = (at - below.astype(np.float32)).reshape([-1 if i == axis else 1 for i in range(3)])
    lower = np.take(image, below, axis)
    return lower + (np.take(image, above, axis) - lower) * share


def _nearest(old: int, new: int) -> np.ndarray:
    """Which of `new` rows each of `old` rows shows; rounds halves up, in float32 as the graph."""
    step = np.float32(new - 1) / np.float32(max(old - 1, 1))
    at = np.floor(np.arange(old, dtype=np.float32) * step + np.float32(0.5))
    return _clipped(at.astype(np.float64), new)


def _clipped(at: np.ndarray, length: int) -> np.ndarray:
    return np.clip(at, 0, length - 1)


def pad(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`(H, W, 3)` at the upper left of a gray canvas, `(*size, 3) float32`."""
    if image.shape[:2] == size:
        return image.astype(np.float32)
    canvas = np.full((*size, 3), MEAN_PIXEL, np.float32)
    canvas[: image.shape[0], : image.shape[1]] = image
    return canvas
