"""The resize inside Google's exported graphs, to compare with golden files made by them."""

from __future__ import annotations

import numpy as np

from easyseg import Segmentation
from easyseg.inference.predictor import Predictor
from easyseg.inference.preprocess import Letterboxed, pad
from easyseg.inference.types import PreparedImage

__all__ = ["graph_size", "resize_in_graph", "segment_as_graph"]


def segment_as_graph(
    predictor: Predictor, image: np.ndarray, *, resize: bool = True, factor: int | None = None
) -> Segmentation:
    """Segments `(H, W, 3) uint8 RGB` with the graph's resize in place of `letterbox`."""
    resized = resize_in_graph(image, predictor.input_size, resize=resize, factor=factor)
    return next(predictor.forward([PreparedImage(image, resized)])).finish()


def resize_in_graph(
    image: np.ndarray, size: tuple[int, int], *, resize: bool = True, factor: int | None = None
) -> Letterboxed:
    """What Google's exported graph does with an image.

    With `resize`, the longest side becomes the shorter side of `size`, up or down, bilinear with
    aligned corners, without antialiasing; labels are taken at that size and enlarged to the
    image's by nearest neighbor. Without, the image must fit and is only padded.

    Args:
        image: `(H, W, 3) uint8 RGB`.
        size: `(height, width)` of the network's input.
        resize: Whether the graph was exported with resizing.
        factor: The graph's `resize_factor`: sides grow to the next `k * factor + 1`.
    """
    old = image.shape[:2]
    new = graph_size(old, min(size), factor) if resize else old
    pixels = image.astype(np.float32)
    for axis in (1, 0):
        pixels = _resize_axis(pixels, new[axis], axis)
    rows, cols = (_nearest(n, m) for n, m in zip(old, new, strict=True))
    return Letterboxed(pad(pixels, size), rows, cols)


def graph_size(
    size: tuple[int, int], longest: int, factor: int | None = None, *, shortest: int | None = None
) -> tuple[int, int]:
    """The size to which Google's graph resizes: the rule of its `resize_to_range`, in float32.

    The shorter side becomes `shortest` (by default `longest`, so that the longest side decides)
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
    weight = (at - below.astype(np.float32)).reshape([-1 if i == axis else 1 for i in range(3)])
    lower = np.take(image, below, axis)
    return lower + (np.take(image, above, axis) - lower) * weight


def _nearest(old: int, new: int) -> np.ndarray:
    """Which of `new` rows each of `old` rows shows; rounds halves up, in float32 as the graph."""
    step = np.float32(new - 1) / np.float32(max(old - 1, 1))
    at = np.floor(np.arange(old, dtype=np.float32) * step + np.float32(0.5))
    return np.clip(at.astype(np.float64), 0, new - 1)
