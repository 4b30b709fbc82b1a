"""How well labels agree with the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from easyseg.errors import InputError

__all__ = ["ConfusionMatrix"]


class ConfusionMatrix:
    """Counts of (true class, found class) over any number of pictures.

    Matrices of parts of a data set add up: `whole = part_a + part_b`.

    Args:
        classes: Number of classes.
        ignore_index: Id in the truth whose pixels do not count.

    Attributes:
        counts: `(classes, classes) int64`, rows are the truth.
    """

    def __init__(self, classes: int, *, ignore_index: int = 255) -> None:
        self.classes = classes
        self.ignore_index = ignore_index
        self.counts = np.zeros((classes, classes), np.int64)
        self._missed = np.zeros(classes, np.int64)  # pixels for which no class was found

    def update(self, truth: np.ndarray, found: np.ndarray) -> None:
        """Adds one picture: two `(H, W)` integer arrays.

        A found id outside the classes (such as void) counts as wrong, for no class.

        Raises:
            InputError: Sizes differ, or the truth has an id that is no class.
        """
        if truth.shape != found.shape:
            raise InputError(f"truth has shape {truth.shape} but found has {found.shape}.")
        valid = truth != self.ignore_index
        truth, found = truth[valid].astype(np.int64), found[valid].astype(np.int64)
        strange = truth[(truth < 0) | (truth >= self.classes)]
        if strange.size:
            raise InputError(
                f"truth has id {strange[0]}, but there are {self.classes} classes "
                f"(0 to {self.classes - 1}) and {self.ignore_index} for pixels that do not count."
            )
        found = np.where((found >= 0) & (found < self.classes), found, self.classes)
        width = self.classes + 1
        pairs = np.bincount(truth * width + found, minlength=self.classes * width)
        pairs = pairs.reshape(self.classes, width)
        self.counts += pairs[:, :-1]
        self._missed += pairs[:, -1]

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        if (self.classes, self.ignore_index) != (other.classes, other.ignore_index):
            raise InputError(
                f"a matrix of {self.classes} classes that ignores {self.ignore_index} and one of "
                f"{other.classes} that ignores {other.ignore_index} do not add up."
            )
        both = ConfusionMatrix(self.classes, ignore_index=self.ignore_index)
        both.counts = self.counts + other.counts
        both._missed = self._missed + other._missed
        return both

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each class, `(classes,)`; NaN where neither side has it."""
        hit = self.counts.diagonal()
        union = self.counts.sum(0) + self.counts.sum(1) + self._missed - hit
        return np.divide(hit, union, out=np.full(self.classes, np.nan), where=union > 0)

    def mean_iou(self, ids: Sequence[int] | None = None) -> float:
        """Mean of `iou` over the classes that occur (of `ids`), 0 to 1; NaN if none does.

        References:
            Everingham et al., "The Pascal Visual Object Classes Challenge", IJCV 2010.
        """
        values = self.iou if ids is None else self.iou[list(ids)]
        values = values[~np.isnan(values)]
        return float(values.mean()) if values.size else float("nan")

    @property
    def pixel_accuracy(self) -> float:
        """Share of counted pixels with the right class, 0 to 1."""
        total = self.counts.sum() + self._missed.sum()
        return float(self.counts.diagonal().sum() / max(total, 1))
