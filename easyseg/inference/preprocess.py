"""From an image to the network's input: resized if need be, and padded to its size (letterbox).

A `Letterboxed` knows, for each row and column of the image, where it lies in the padded input. The
logits are a grid over that input (`Letterboxed.on_grid`), so the labels at the image's own size
are the argmax of the logits interpolated at those positions (see `easyseg.results.logit_grid`).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

MEAN_PIXEL = 127.5  # 0 after scaling to -1 to 1
NEARLY_FULL = 0.75  # fraction of the input's side from which an image is not enlarged


class Letterboxed(NamedTuple):
    """An image, resized and padded to the network's input.

    Attributes:
        padded: `(h, w, 3) float32 RGB`, 0 to 255, gray where there is no image.
        rows: `(H,) float64`, where each row of the image lies in `padded`, in pixels.
        cols: `(W,) float64`, the same for the columns.
    """

    padded: np.ndarray
    rows: np.ndarray
    cols: np.ndarray

    def on_grid(
        self, cells: tuple[int, int], *, half_pixel: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """`rows` and `cols` in cells of a grid of logits that covers the padded input.

        Args:
            cells: `(h, w)` of the logits.
            half_pixel: Whether the edges of the input and of the logits coincide, as in
                SegFormer, rather than the centers of their corner pixels, as in DeepLab.
        """
        rows, cols = (
            np.clip((at + 0.5) * (n / side) - 0.5, 0, n - 1)
            if half_pixel
            else at * ((n - 1) / max(side - 1, 1))
            for at, n, side in zip(
                (self.rows, self.cols), cells, self.padded.shape[:2], strict=True
            )
        )
        return rows, cols


def letterbox(image: np.ndarray, size: tuple[int, int]) -> Letterboxed:
    """Pads an image to `size`; a larger one is shrunk first, a small one enlarged.

    Images that nearly fill the input keep their size, as in Google's evaluation. Much smaller
    ones would have a scale that the networks were not trained for (`docs/parity.md`).

    Args:
        image: `(H, W, 3) uint8 RGB`.
        size: `(height, width)` of the network's input.
    """
    height, width = image.shape[:2]
    new = letterboxed_size((height, width), size)
    if new < (height, width):
        image = _shrink(image, new)
    elif new != (height, width):
        image = cv2.resize(image, new[::-1], interpolation=cv2.INTER_CUBIC)
    rows, cols = (
        np.clip((np.arange(n) + 0.5) * (m / n) - 0.5, 0, m - 1)
        for n, m in zip((height, width), new, strict=True)
    )
    return Letterboxed(pad(image, size), rows, cols)


def letterboxed_size(image: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """`(height, width)` to which `letterbox` resizes an image of this size before padding."""
    scale = min(size[0] / image[0], size[1] / image[1])
    if 1 <= scale <= 1 / NEARLY_FULL:
        return image
    return max(1, int(image[0] * scale)), max(1, int(image[1] * scale))


def pad(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`(H, W, 3)` in the upper left of a gray image, `(*size, 3) float32`."""
    if image.shape[:2] == size:
        return image.astype(np.float32)
    padded = np.full((*size, 3), MEAN_PIXEL, np.float32)
    padded[: image.shape[0], : image.shape[1]] = image
    return padded


def _shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Means over areas. Sides are halved first while they are much too long, which is faster."""
    height, width = image.shape[:2]
    while min(height / size[0], width / size[1]) >= 4 and height % 2 == width % 2 == 0:
        height, width = height // 2, width // 2
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
