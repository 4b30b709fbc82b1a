"""How well the borders of labels agree with those of the truth."""

from __future__ import annotations

import math

import cv2
import numpy as np

from easyseg.errors import InputError
from easyseg.evaluation.metrics import mean_of

__all__ = ["BoundaryScores", "border", "rim"]

F_TOLERANCE = 0.0075  # of the image's diagonal, Csurka et al.
RIM_WIDTH = 0.02  # of the image's diagonal, Cheng et al.


class BoundaryScores:
    """Boundary F and boundary IoU of each class over any number of images.

    Where the truth does not count, both sides are taken for ignored, so that borders along
    ignored pixels agree as far as the classes beside them do. Scores of parts of a data set add up.

    Args:
        classes: Number of classes.
        ignore_index: Id in the truth whose pixels do not count.

    References:
        Csurka et al., "What is a good evaluation measure for semantic segmentation?", BMVC 2013;
        Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object
        Segmentation", CVPR 2016 (its contour accuracy F); Cheng et al., "Boundary IoU: Improving
        Object-Centric Image Segmentation Evaluation", CVPR 2021.
    """

    def __init__(self, classes: int, *, ignore_index: int = 255) -> None:
        self.classes = classes
        self.ignore_index = ignore_index
        self._f_sum = np.zeros(classes)
        self._images = np.zeros(classes, np.int64)  # in which the class has a border
        self._overlap = np.zeros(classes, np.int64)
        self._union = np.zeros(classes, np.int64)

    def update(self, truth: np.ndarray, found: np.ndarray) -> None:
        """Adds one image: two `(H, W)` integer arrays.

        Raises:
            InputError: Sizes differ.
        """
        if truth.shape != found.shape:
            raise InputError(f"truth has shape {truth.shape} but found has {found.shape}.")
        ignored = truth == self.ignore_index
        diagonal = math.hypot(*truth.shape)
        for class_id in np.union1d(np.unique(truth), np.unique(found)):
            if class_id == self.ignore_index or not 0 <= class_id < self.classes:
                continue
            true_mask = (truth == class_id).view(np.uint8)
            found_mask = ((found == class_id) & ~ignored).view(np.uint8)
            true_mask, found_mask = _crop(true_mask, found_mask)
            self._add_f(class_id, border(true_mask), border(found_mask), F_TOLERANCE * diagonal)
            width = max(1, round(RIM_WIDTH * diagonal))
            self._add_iou(class_id, rim(true_mask, width), rim(found_mask, width))

    def _add_f(self, i: int, true: np.ndarray, found: np.ndarray, tolerance: float) -> None:
        if not (true.any() or found.any()):
            return
        precision = _near(found, true, tolerance)
        recall = _near(true, found, tolerance)
        self._f_sum[i] += 2 * precision * recall / max(precision + recall, 1e-12)
        self._images[i] += 1

    def _add_iou(self, i: int, true: np.ndarray, found: np.ndarray) -> None:
        self._overlap[i] += cv2.countNonZero(true & found)
        self._union[i] += cv2.countNonZero(true | found)

    def __add__(self, other: BoundaryScores) -> BoundaryScores:
        if (self.classes, self.ignore_index) != (other.classes, other.ignore_index):
            raise InputError("boundary scores of different classes do not add up.")
        both = BoundaryScores(self.classes, ignore_index=self.ignore_index)
        for name in ("_f_sum", "_images", "_overlap", "_union"):
            setattr(both, name, getattr(self, name) + getattr(other, name))
        return both

    @property
    def f(self) -> np.ndarray:
        """Boundary F of each class, `(classes,)`, 0 to 1; NaN where neither side has a border.

        Of one image it is `2 P R / (P + R)`, where precision P is the share of the found border
        that lies within 0.75 % of the diagonal of the true one, and recall R the reverse. It is
        averaged over the images in which either side has a border of the class.
        """
        shape = np.full(self.classes, np.nan)
        return np.divide(self._f_sum, self._images, out=shape, where=self._images > 0)

    @property
    def iou(self) -> np.ndarray:
        """Boundary IoU of each class, `(classes,)`, 0 to 1; NaN where neither side has it.

        Intersection over union, over all images, of the pixels of either mask that lie within
        2 % of the diagonal of its border; the image's frame is a border.
        """
        shape = np.full(self.classes, np.nan)
        return np.divide(self._overlap, self._union, out=shape, where=self._union > 0)

    @property
    def mean_f(self) -> float:
        """Mean of `f` over the classes that have a border; NaN if none has."""
        return mean_of(self.f)

    @property
    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that occur; NaN if none does."""
        return mean_of(self.iou)


def border(mask: np.ndarray) -> np.ndarray:
    """Pixels of a mask with one of their four neighbours outside; the frame is no border.

    Args:
        mask: `(H, W) uint8`, 0 and 1.
    """
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return mask - cv2.erode(mask, cross, borderType=cv2.BORDER_REPLICATE)


def rim(mask: np.ndarray, width: int) -> np.ndarray:
    """Pixels of a mask that are less than `width + 1` steps, of a king, from the outside.

    Args:
        mask: `(H, W) uint8`, 0 and 1; outside is all beyond the frame too.
        width: Pixels.
    """
    square = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    return mask - cv2.erode(mask, square, borderType=cv2.BORDER_CONSTANT, borderValue=0)


def _near(border_a: np.ndarray, border_b: np.ndarray, tolerance: float) -> float:
    """Share of the pixels of `a` nearer than the tolerance to one of `b`; 0 if either is empty."""
    count = cv2.countNonZero(border_a)
    if not count or not border_b.any():
        return 0.0
    distance = cv2.distanceTransform(1 - border_b, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((distance[border_a > 0] < tolerance).sum() / count)


def _crop(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both masks within the box that holds either, and one pixel around where there is one."""
    left, top, width, height = cv2.boundingRect(a | b)
    rows = slice(max(0, top - 1), top + height + 1)
    cols = slice(max(0, left - 1), left + width + 1)
    return a[rows, cols], b[rows, cols]
