"""Colour map: every pixel in the colour of its class."""

from __future__ import annotations

import cv2
import numpy as np

from easyseg.outputs.table import OUTPUTS, Output, Segmented

__all__ = ["draw_colour"]


def draw_colour(result: Segmented, alpha: float = 1.0) -> np.ndarray:  # noqa: ARG001
    """`(H, W, 3) uint8 RGB` in the label set's palette; ids without a class are black."""
    colours, labels = result.label_set.colours, result.labels
    if labels.dtype != np.uint8:
        return colours[labels]
    return cv2.LUT(cv2.merge([labels] * 3), colours[None, :256])  # four times as quick


OUTPUTS.register("colour")(Output(draw_colour))
