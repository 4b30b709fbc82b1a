"""Contour: the image with the boundaries of its classes, each in the color of its class."""

from __future__ import annotations

import cv2
import numpy as np

from easyseg.results.outputs.base import OUTPUTS, Output, Segmented
from easyseg.results.outputs.color_map import draw_color

LINES = 180  # shorter side of the image / width of a line


def draw_contour(result: Segmented, alpha: float = 1.0) -> np.ndarray:  # noqa: ARG001
    """`(H, W, 3) uint8 RGB`: lines just inside each class; void and the image's edge have none."""
    height, width = result.labels.shape
    reach = max(1, round(min(height, width) / LINES))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    boundary = cv2.dilate(result.labels, disc) != cv2.erode(result.labels, disc)
    boundary &= result.labels != result.label_set.void
    return cv2.copyTo(draw_color(result), boundary.view(np.uint8), result.image.copy())


OUTPUTS.register("contour")(Output(draw_contour))
