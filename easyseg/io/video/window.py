"""A window that shows what was made of a frame."""

from __future__ import annotations

import cv2
import numpy as np

from easyseg.errors import InputError

__all__ = ["Preview"]

QUIT = (ord("q"), 27)  # q or Escape


class Preview:
    """A window of OpenCV.

    Args:
        title: The window's; `True` for the usual one.

    Raises:
        InputError: This OpenCV was built without windows, or there is no screen.
    """

    def __init__(self, title: str | bool = True) -> None:
        self._title = title if isinstance(title, str) else "easyseg"
        try:
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL)
        except cv2.error as error:
            raise InputError(
                "no window can be shown: this OpenCV was built without windows, or there is no "
                "screen; pip uninstall opencv-python-headless, then pip install opencv-python."
            ) from error

    def show(self, image: np.ndarray) -> bool:
        """Shows `(H, W, 3 or 4) uint8 RGB`; `False` once q or Escape was pressed."""
        cv2.imshow(self._title, np.ascontiguousarray(image[..., 2::-1]))
        return cv2.waitKey(1) & 0xFF not in QUIT

    def __enter__(self) -> Preview:  # noqa: PYI034  (from Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        cv2.destroyWindow(self._title)
