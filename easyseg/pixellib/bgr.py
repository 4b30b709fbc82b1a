"""OpenCV's order of colours, in which PixelLib takes frames and gives pictures."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from easyseg.errors import InputError

__all__ = ["from_opencv", "to_opencv"]


def from_opencv(picture: Any, *, frame: bool = False) -> Any:
    """What `read_image` takes.

    Args:
        picture: Path, address, bytes or PIL image, which stay as they are; or an array of
            OpenCV's: `(H, W, 3)` BGR, `(H, W, 4)` BGRA or `(H, W)` grey.
        frame: It must be an array.

    Raises:
        InputError: It is none, such as the `None` that an ended `cv2.VideoCapture` reads.
    """
    if isinstance(picture, np.ndarray):
        return picture[..., [2, 1, 0, 3][: picture.shape[2]]] if picture.ndim == 3 else picture
    if frame:
        raise InputError(
            f"a frame must be an (H, W, 3) uint8 BGR array, not {type(picture).__name__}; "
            "check what capture.read() gave, whose first value is False at the end."
        )
    return picture


def to_opencv(picture: np.ndarray) -> np.ndarray:
    """`(H, W, 3) uint8 BGR` from RGB."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
