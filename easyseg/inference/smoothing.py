"""Logits that are calm over time."""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["Smoother"]

THUMB = (32, 18)  # pixels by which scenes are compared
CUT = 20  # mean difference of their values, 0 to 255, from which it is another scene


class Smoother:
    """An exponential mean of the logits over time, which calms flicker.

    It starts anew where the video cuts to another scene.

    Args:
        weight: Share of the past, from 0 to below 1.
    """

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self._mean: np.ndarray | None = None
        self._thumb: np.ndarray | None = None

    def __call__(self, image: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """The mean of these logits and those before, `(h, w, classes) float32`.

        Args:
            image: `(H, W, 3) uint8 RGB`, the frame.
            logits: `(h, w, classes) float32`.
        """
        thumb = cv2.resize(image, THUMB, interpolation=cv2.INTER_AREA).astype(np.float32)
        same = self._thumb is not None and np.abs(thumb - self._thumb).mean() <= CUT
        if same and self._mean is not None and self._mean.shape == logits.shape:
            logits = logits + np.float32(self._weight) * (self._mean - logits)
        self._mean, self._thumb = logits, thumb
        return logits
