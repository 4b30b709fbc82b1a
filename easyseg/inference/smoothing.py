"""Logits averaged over time, which reduces flicker in videos."""

from __future__ import annotations

import cv2
import numpy as np

from easyseg.inference.types import RawPrediction

THUMBNAIL = (32, 18)  # pixels at which scenes are compared
CUT = 20  # mean difference of the thumbnails' values, 0 to 255, above which the scene changed


class Smoother:
    """An exponential mean of the logits over time.

    It restarts where the video cuts to another scene.

    Args:
        weight: Weight of the past, from 0 to below 1.
    """

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self._mean: np.ndarray | None = None
        self._thumbnail: np.ndarray | None = None

    def __call__(self, prediction: RawPrediction) -> RawPrediction:
        """The prediction with the mean of its logits and those before, if it has logits."""
        grid = prediction.grid
        if grid is None:
            return prediction
        thumbnail = cv2.resize(prediction.image, THUMBNAIL, interpolation=cv2.INTER_AREA)
        thumbnail = thumbnail.astype(np.float32)
        same = self._thumbnail is not None and np.abs(thumbnail - self._thumbnail).mean() <= CUT
        logits = grid.logits
        if same and self._mean is not None and self._mean.shape == logits.shape:
            logits = logits + np.float32(self._weight) * (self._mean - logits)
        self._mean, self._thumbnail = logits, thumbnail
        return prediction._replace(grid=grid._replace(logits=logits))
