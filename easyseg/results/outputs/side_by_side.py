"""Side by side: the image, and the same with its classes tinted."""

from __future__ import annotations

import numpy as np

from easyseg.results.outputs.base import OUTPUTS, Output, Segmented
from easyseg.results.outputs.overlay import draw_overlay


def draw_side_by_side(result: Segmented, alpha: float = 0.6) -> np.ndarray:
    """`(H, 2 W, 3) uint8 RGB`: the image at the left, its overlay at the right."""
    return np.hstack([result.image, draw_overlay(result, alpha)])


OUTPUTS.register("side_by_side")(Output(draw_side_by_side))
