"""Overlay: the image with its classes tinted."""

from __future__ import annotations

import cv2
import numpy as np

from easyseg.results.outputs.base import OUTPUTS, Output, Segmented
from easyseg.results.outputs.color_map import colors_of

STRIPE = 64  # rows that are tinted at once, few enough for the CPU cache


def draw_overlay(result: Segmented, alpha: float = 0.6) -> np.ndarray:
    """`(H, W, 3) uint8 RGB`: `alpha` of the class color over the image; void stays as it is."""
    overlay = np.empty_like(result.image)
    for top in range(0, len(overlay), STRIPE):
        rows = slice(top, top + STRIPE)
        image, labels = result.image[rows], result.labels[rows]
        colors = colors_of(labels, result.label_set)
        tinted = cv2.addWeighted(colors, alpha, image, 1 - alpha, 0, dst=overlay[rows])
        void = labels == result.label_set.void
        if void.any():
            cv2.copyTo(image, void.view(np.uint8), tinted)
    return overlay


OUTPUTS.register("overlay")(Output(draw_overlay))
