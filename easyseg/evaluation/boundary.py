"""Boundary metrics: boundary F and boundary IoU."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from easyseg.errors import InputError
from easyseg.evaluation.metrics import integers, mean_of, ratio, require_same_shape

F_TOLERANCE = 0.0075  # of the image's diagonal, Csurka et al.
BAND_WIDTH = 0.02  # of the image's diagonal, Cheng et al.
UNIT = 2.0**-32  # of sums of F, which are integers so that the order of images does not matter
COUNTS = ("_f_sum", "_images", "_overlap", "_union")


class BoundaryScores:
    """Boundary F and boundary IoU of each class over any number of images.

    Predicted pixels are ignored where the ground truth is, so that boundaries along ignored
    pixels agree as far as the classes beside them do. Scores of parts of a data set add up.

    Args:
        classes: Number of classes.
        ignore_index: Id in the ground truth whose pixels are ignored.

    References:
        Csurka et al., "What is a good evaluation measure for semantic segmentation?", BMVC 2013;
        Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object
        Segmentation", CVPR 2016 (its contour accuracy F); Cheng et al., "Boundary IoU: Improving
        Object-Centric Image Segmentation Evaluation", CVPR 2021.
    """

    def __init__(self, classes: int, *, ignore_index: int = 255) -> None:
        self.classes = classes
        self.ignore_index = ignore_index
        self._f_sum = np.zeros(classes, np.int64)  # in units of `UNIT`
        self._images = np.zeros(classes, np.int64)  # in which the class has a boundary
        self._overlap = np.zeros(classes, np.int64)
        self._union = np.zeros(classes, np.int64)

    def update(self, ground_truth: np.ndarray, predicted: np.ndarray) -> None:
        """Adds one image: two `(H, W)` integer arrays.

        Raises:
            InputError: Sizes differ.
        """
        require_same_shape(ground_truth, predicted)
        ignored = ground_truth == self.ignore_index
        diagonal = math.hypot(*ground_truth.shape)
        width = max(1, round(BAND_WIDTH * diagonal))
        for class_id in np.union1d(np.unique(ground_truth), np.unique(predicted)):
            if class_id == self.ignore_index or not 0 <= class_id < self.classes:
                continue
            true_mask = (ground_truth == class_id).view(np.uint8)
            predicted_mask = ((predicted == class_id) & ~ignored).view(np.uint8)
            true_edge = boundary_pixels(true_mask)
            predicted_edge = boundary_pixels(predicted_mask)
            if true_edge.any() or predicted_edge.any():
                precision = _fraction_within(predicted_edge, true_edge, F_TOLERANCE * diagonal)
                recall = _fraction_within(true_edge, predicted_edge, F_TOLERANCE * diagonal)
                f = 2 * precision * recall / max(precision + recall, 1e-12)
                self._f_sum[class_id] += round(f / UNIT)
                self._images[class_id] += 1
            true_band = boundary_band(true_mask, width)
            predicted_band = boundary_band(predicted_mask, width)
            self._overlap[class_id] += cv2.countNonZero(true_band & predicted_band)
            self._union[class_id] += cv2.countNonZero(true_band | predicted_band)

    def __add__(self, other: BoundaryScores) -> BoundaryScores:
        if (self.classes, self.ignore_index) != (other.classes, other.ignore_index):
            raise InputError(
                "cannot add boundary scores of different classes; evaluate both with the same ones."
            )
        both = BoundaryScores(self.classes, ignore_index=self.ignore_index)
        for name in COUNTS:
            setattr(both, name, getattr(self, name) + getattr(other, name))
        return both

    def to_dict(self) -> dict[str, Any]:
        """All counts as plain integers; `from_dict` is the inverse."""
        return {name.strip("_"): getattr(self, name).tolist() for name in COUNTS}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, ignore_index: int = 255) -> BoundaryScores:
        """The inverse of `to_dict`.

        Raises:
            KeyError, ValueError: Values are missing or of another kind.
        """
        scores = cls(len(values["images"]), ignore_index=ignore_index)
        for name in COUNTS:
            setattr(scores, name, integers(values[name.strip("_")], (scores.classes,)))
        return scores

    @property
    def f(self) -> np.ndarray:
        """Boundary F of each class, `(classes,)`, 0 to 1; NaN where neither side has a boundary.

        Of one image it is `2 P R / (P + R)`, where precision P is the fraction of the predicted
        boundary that lies within 0.75 % of the image diagonal of the true one, and recall R the
        reverse. It is averaged over the images in which either side has a boundary of the class.
        """
        return ratio(self._f_sum * UNIT, self._images)

    @property
    def iou(self) -> np.ndarray:
        """Boundary IoU of each class, `(classes,)`, 0 to 1; NaN where neither side has the class.

        Intersection over union, over all images, of the pixels of either mask that lie within
        2 % of the image diagonal of its boundary; the image's edge is part of the boundary.
        """
        return ratio(self._overlap, self._union)

    @property
    def mean_f(self) -> float:
        """Mean of `f` over the classes that have a boundary; NaN if none has."""
        return mean_of(self.f)

    @property
    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that occur; NaN if none does."""
        return mean_of(self.iou)


def boundary_pixels(mask: np.ndarray) -> np.ndarray:
    """Pixels of a mask with one of their four neighbors outside it, the image's edge excepted.

    Args:
        mask: `(H, W) uint8`, 0 and 1.
    """
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return mask - cv2.erode(mask, cross, borderType=cv2.BORDER_REPLICATE)


def boundary_band(mask: np.ndarray, width: int) -> np.ndarray:
    """Pixels of a mask within a chessboard distance of `width` of its boundary.

    Args:
        mask: `(H, W) uint8`, 0 and 1; beyond the image is outside.
        width: Of the band, in pixels.
    """
    square = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    return mask - cv2.erode(mask, square, borderType=cv2.BORDER_CONSTANT, borderValue=0)


def _fraction_within(pixels_a: np.ndarray, pixels_b: np.ndarray, tolerance: float) -> float:
    """Fraction of the pixels of `a` within the tolerance of one of `b`; 0 if either is empty."""
    count = cv2.countNonZero(pixels_a)
    if not count or not pixels_b.any():
        return 0.0
    distance = cv2.distanceTransform(1 - pixels_b, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((distance[pixels_a > 0] < tolerance).sum() / count)
