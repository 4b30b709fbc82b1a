"""OpenCV's channel order, BGR, in which PixelLib takes frames and returns images."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from easyseg.errors import InputError

__all__ = ["from_opencv", "to_opencv"]


def from_opencv(image: Any, *, frame: bool = False) -> Any:
    """An image as `read_image` takes it.

    Args:
        image: Path, URL, bytes or PIL image, which are returned unchanged; or an array as OpenCV
            has it: `(H, W, 3)` BGR, `(H, W, 4)` BGRA or `(H, W)` gray.
        frame: Whether it must be an array.

    Raises:
        InputError: It is not, such as the `None` that `cv2.VideoCapture` reads at the end.
    """
    if isinstance(image, np.ndarray):
        return image[..., [2, 1, 0, 3][: image.shape[2]]] if image.ndim == 3 else image
    if frame:
        raise InputError(
            f"a frame must be an (H, W, 3) uint8 BGR array, not {type(image).__name__}; "
            "check the first value of capture.read(), which is False at the end."
        )
    return image


def to_opencv(image: np.ndarray) -> np.ndarray:
    """`(H, W, 3) uint8 BGR` from RGB."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
