"""Colour map: every pixel in the colour of its class."""

from __future__ import annotations

import numpy as np

from easyseg.outputs.table import OUTPUTS, Output, Segmented

__all__ = ["draw_colour"]


def draw_colour(result: Segmented, alpha: float = 1.0) -> np.ndarray:  # noqa: ARG001
    """`(H, W, 3) uint8 RGB` in the label set's palette; ids without a class are black."""
    return result.label_set.colours[result.labels]


OUTPUTS.register("colour")(Output(draw_colour))
