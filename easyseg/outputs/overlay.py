"""Overlay: the photo with its classes tinted."""

from __future__ import annotations

import cv2
import numpy as np

from easyseg.outputs.colour import draw_colour
from easyseg.outputs.table import OUTPUTS, Output, Segmented

__all__ = ["draw_overlay"]


def draw_overlay(result: Segmented, alpha: float = 0.6) -> np.ndarray:
    """`(H, W, 3) uint8 RGB`: `alpha` of the class colour over the photo; void stays as it was."""
    found = (result.labels != result.label_set.void).view(np.uint8)
    mixed = cv2.addWeighted(draw_colour(result), alpha, result.image, 1 - alpha, 0)
    return cv2.copyTo(mixed, found, result.image.copy())


OUTPUTS.register("overlay")(Output(draw_overlay))
