"""A window that shows frames as they are done."""

from __future__ import annotations

from typing import Self

import cv2
import numpy as np

from easyseg.errors import InputError

QUIT_KEYS = (ord("q"), 27)  # q or Escape


class Window:
    """A window of OpenCV.

    Args:
        title: The window's title; `True` for the default.

    Raises:
        InputError: This OpenCV was built without windows, or there is no display.
    """

    def __init__(self, title: str | bool = True) -> None:
        self._title = title if isinstance(title, str) else "easyseg"
        try:
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL)
        except cv2.error as error:
            raise InputError(
                "Cannot show a window: this OpenCV was built without windows, or there is no "
                "display. With a display, run: pip uninstall opencv-python-headless, then "
                "pip install --force-reinstall opencv-python."
            ) from error

    def show(self, image: np.ndarray) -> bool:
        """Shows `(H, W, 3 or 4) uint8 RGB`; returns `False` once q or Escape is pressed."""
        cv2.imshow(self._title, np.ascontiguousarray(image[..., 2::-1]))
        return cv2.waitKey(1) & 0xFF not in QUIT_KEYS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        cv2.destroyWindow(self._title)
