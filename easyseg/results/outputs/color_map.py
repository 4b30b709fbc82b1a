"""Color map: every pixel in the color of its class."""

from __future__ import annotations

import cv2
import numpy as np

from easyseg.results.label_set import LabelSet
from easyseg.results.outputs.base import OUTPUTS, Output, Segmented


def draw_color(result: Segmented, alpha: float = 1.0) -> np.ndarray:  # noqa: ARG001
    """`(H, W, 3) uint8 RGB` in the label set's palette; ids without a class are black."""
    return colors_of(result.labels, result.label_set)


def colors_of(labels: np.ndarray, label_set: LabelSet) -> np.ndarray:
    """The colors of `(H, W)` ids, `(H, W, 3) uint8 RGB`."""
    if labels.dtype != np.uint8:
        return label_set.colors[labels]
    return cv2.applyColorMap(labels, label_set.colors[:256, None])  # nine times as fast


OUTPUTS.register("color")(Output(draw_color))
