"""Overlay: the photo with its classes tinted."""

from __future__ import annotations

import cv2
import numpy as np

from easyseg.outputs.table import OUTPUTS, Output, Segmented

__all__ = ["draw_overlay"]


def draw_overlay(result: Segmented, alpha: float = 0.6) -> np.ndarray:
    """`(H, W, 3) uint8 RGB`: `alpha` of the class colour over the photo; void stays as it was."""
    colours = result.label_set.colours[result.labels]
    mixed = cv2.addWeighted(colours, alpha, result.image, 1 - alpha, 0)
    return np.where((result.labels == result.label_set.void)[..., None], result.image, mixed)


OUTPUTS.register("overlay")(Output(draw_overlay))
