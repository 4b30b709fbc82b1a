"""Pixels of JPEG files by OpenCV: the same as Pillow's, in little more than half the time."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

__all__ = ["read_jpeg", "turned"]

END_OF_IMAGE = b"\xff\xd9"
TRANSPOSED = (5, 6, 7, 8)  # EXIF orientations that hold the picture's columns as rows
FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # what is left to do, in the codes of cv2.flip


def read_jpeg(image: Any) -> np.ndarray | None:
    """The pixels of a JPEG file, as they lie in it.

    OpenCV fills what is missing of a truncated file with grey. Those are left to Pillow, and so
    are CMYK and other rarities.

    Args:
        image: The `PIL.ImageFile.ImageFile` that Pillow opened, not yet decoded.

    Returns:
        `(H, W, 3) uint8 RGB`, or `None` where Pillow must decode.
    """
    if image.format != "JPEG" or image.mode not in ("RGB", "L"):
        return None
    image.fp.seek(0)
    content = image.fp.read()
    if not content[-64:].rstrip(b"\0").endswith(END_OF_IMAGE):
        return None
    pixels = cv2.imdecode(
        np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    )
    return pixels if pixels is not None and pixels.shape[1::-1] == image.size else None


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels upright, by the EXIF orientation 1 to 8 of their file; others mean nothing."""
    if orientation in TRANSPOSED:
        pixels = cv2.transpose(pixels)
    return cv2.flip(pixels, FLIPS[orientation]) if orientation in FLIPS else pixels
