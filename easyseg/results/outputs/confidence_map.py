"""Confidence: a heat map of the softmax probability of the predicted class."""

from __future__ import annotations

import cv2
import numpy as np

from easyseg.results.outputs.base import OUTPUTS, LegendEntry, Output, Segmented


def draw_confidence(result: Segmented, alpha: float = 1.0) -> np.ndarray:  # noqa: ARG001
    """`(H, W, 3) uint8 RGB` in viridis: dark is probability 0, bright yellow is 1.

    Raises:
        InputError: The labels did not come from a network.
    """
    return _heat(result.confidence)


def _heat(probability: np.ndarray) -> np.ndarray:
    levels = np.rint(255 * probability).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)


def _scale(result: Segmented) -> list[LegendEntry]:  # noqa: ARG001
    marks = np.array([[1, 0.75, 0.5, 0.25, 0]])
    colors = _heat(marks)[0].tolist()
    return [(f"{100 * p:.0f} %", tuple(c)) for p, c in zip(marks[0], colors, strict=True)]


OUTPUTS.register("confidence")(Output(draw_confidence, legend=_scale, shows_classes=False))
