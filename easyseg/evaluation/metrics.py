"""Metrics of predicted labels: a confusion matrix and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from easyseg.errors import InputError


class ConfusionMatrix:
    """Pixel counts by (true class, predicted class) over any number of images.

    Matrices of parts of a data set add up: `whole = part_a + part_b`.

    Args:
        classes: Number of classes.
        ignore_index: Id in the ground truth whose pixels are ignored.

    Attributes:
        counts: `(classes, classes) int64`; rows: ground truth, columns: prediction.
        missed: `(classes,) int64`, pixels of each true class predicted as none of the classes.
        ignored: Pixels that are ignored.
    """

    def __init__(self, classes: int, *, ignore_index: int = 255) -> None:
        self.classes = classes
        self.ignore_index = ignore_index
        self.counts = np.zeros((classes, classes), np.int64)
        self.missed = np.zeros(classes, np.int64)
        self.ignored = 0

    def update(self, ground_truth: np.ndarray, predicted: np.ndarray) -> None:
        """Adds one image: two `(H, W)` integer arrays.

        A predicted id that is none of the classes (such as void) counts as an error.

        Raises:
            InputError: Sizes differ, or the ground truth has an id that is none of the classes.
        """
        require_same_shape(ground_truth, predicted)
        valid = ground_truth != self.ignore_index
        ground_truth = ground_truth[valid].astype(np.int64)
        predicted = predicted[valid].astype(np.int64)
        unknown_ids = ground_truth[(ground_truth < 0) | (ground_truth >= self.classes)]
        if unknown_ids.size:
            raise InputError(
                f"the ground truth has id {unknown_ids[0]}, but there are {self.classes} classes "
                f"(0 to {self.classes - 1}) and {self.ignore_index} for ignored pixels; "
                "check the class list of the data set."
            )
        predicted = np.where((predicted >= 0) & (predicted < self.classes), predicted, self.classes)
        width = self.classes + 1
        pairs = np.bincount(ground_truth * width + predicted, minlength=self.classes * width)
        pairs = pairs.reshape(self.classes, width)
        self.counts += pairs[:, :-1]
        self.missed += pairs[:, -1]
        self.ignored += valid.size - ground_truth.size

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        if (self.classes, self.ignore_index) != (other.classes, other.ignore_index):
            raise InputError(
                f"cannot add a confusion matrix of {other.classes} classes that ignores "
                f"{other.ignore_index} to one of {self.classes} classes that ignores "
                f"{self.ignore_index}; evaluate both with the same classes."
            )
        both = ConfusionMatrix(self.classes, ignore_index=self.ignore_index)
        both.counts = self.counts + other.counts
        both.missed = self.missed + other.missed
        both.ignored = self.ignored + other.ignored
        return both

    def to_dict(self) -> dict[str, Any]:
        """All counts as plain integers; `from_dict` is the inverse."""
        return {
            "counts": self.counts.tolist(),
            "missed": self.missed.tolist(),
            "ignored": self.ignored,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, ignore_index: int = 255) -> ConfusionMatrix:
        """The inverse of `to_dict`.

        Raises:
            KeyError, ValueError: Values are missing or of another kind.
        """
        matrix = cls(len(values["missed"]), ignore_index=ignore_index)
        matrix.counts = integers(values["counts"], (matrix.classes, matrix.classes))
        matrix.missed = integers(values["missed"], (matrix.classes,))
        matrix.ignored = int(integers(values["ignored"], ()))
        return matrix

    @property
    def true_pixels(self) -> np.ndarray:
        """Pixels of each class in the ground truth, ignored ones excluded, `(classes,) int64`."""
        return self.counts.sum(1) + self.missed

    @property
    def ignored_fraction(self) -> float:
        """Fraction of all pixels that are ignored, 0 to 1; 0 without any pixels."""
        return float(self.ignored / max(1, self.ignored + self.true_pixels.sum()))

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each class, `(classes,)`; NaN without any pixels."""
        hit = self.counts.diagonal()
        return ratio(hit, self.counts.sum(0) + self.true_pixels - hit)

    @property
    def dice(self) -> np.ndarray:
        """Dice coefficient of each class, which is its F1 score, `(classes,)`; NaN as in `iou`.

        References:
            Dice, "Measures of the Amount of Ecologic Association Between Species", Ecology 1945.
        """
        return ratio(2 * self.counts.diagonal(), self.counts.sum(0) + self.true_pixels)

    @property
    def recall(self) -> np.ndarray:
        """Fraction of each class's pixels predicted as it, `(classes,)`; NaN without any."""
        return ratio(self.counts.diagonal(), self.true_pixels)

    @property
    def precision(self) -> np.ndarray:
        """Fraction of each predicted class that is correct, `(classes,)`; NaN without any."""
        return ratio(self.counts.diagonal(), self.counts.sum(0))

    def mean_iou(self, ids: Sequence[int] | None = None) -> float:
        """Mean of `iou` over the classes that occur (of `ids`), 0 to 1; NaN if none does.

        References:
            Everingham et al., "The Pascal Visual Object Classes Challenge", IJCV 2010.
        """
        return mean_of(self.iou if ids is None else self.iou[list(ids)])

    @property
    def mean_dice(self) -> float:
        """Mean of `dice` over the classes that occur, 0 to 1; NaN if none does."""
        return mean_of(self.dice)

    @property
    def mean_accuracy(self) -> float:
        """Mean of `recall` over the classes of the ground truth, 0 to 1; NaN if there are none.

        References:
            Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015, for
            this, `pixel_accuracy` and `frequency_weighted_iou`.
        """
        return mean_of(self.recall)

    @property
    def pixel_accuracy(self) -> float:
        """Fraction of the pixels with the correct class, 0 to 1; NaN if all are ignored."""
        return mean_of(ratio(self.counts.diagonal().sum(), self.true_pixels.sum()))

    @property
    def frequency_weighted_iou(self) -> float:
        """Mean of `iou` weighted with the classes' pixels, 0 to 1; NaN if all are ignored."""
        total = self.true_pixels.sum()
        if not total:
            return float("nan")
        return float(np.nansum(self.iou * self.true_pixels) / total)


def require_same_shape(ground_truth: np.ndarray, predicted: np.ndarray) -> None:
    """Raises InputError where a prediction does not have the size of its ground truth."""
    if ground_truth.shape != predicted.shape:
        raise InputError(
            f"expected a prediction of the ground truth's shape {ground_truth.shape}, got "
            f"{predicted.shape}; resize it with nearest neighbor."
        )


def integers(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Counts from a file, `shape` int64.

    Raises:
        ValueError: They are of another shape, negative, or not whole numbers.
    """
    array = np.array(values)
    if array.shape != shape or array.dtype != np.int64 or (array < 0).any():
        raise ValueError(f"expected counts of shape {shape}")
    return array


def mean_of(values: np.ndarray) -> float:
    """The mean of the values that are not NaN; NaN if all are."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole`, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
