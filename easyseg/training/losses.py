"""The losses one by one, as functions of `Pixels`: truth and logits of a batch.

Those of regions and the Lovász hinge see the batch as one image, and average over the classes
that its truth shows; pixels found as an absent class are missed by the class that is there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from easyseg._keras import ops

__all__ = ["LOSSES", "Pixels"]

Tensor = Any

GAMMA = 2.0  # of the focal loss, Lin et al.
FALSE_POSITIVE, FALSE_NEGATIVE = 0.3, 0.7  # of the Tversky loss, Salehi et al.
EASY = 0.7  # probability of the true class above which OHEM leaves a pixel out
KEPT = 16  # OHEM keeps at least one in so many
BORDER, NEAR = 3, 5  # pixels, sides of the squares that make and widen borders, Bokhovkin et al.
SMALLEST = 1e-7


class Pixels:
    """Truth and logits of a batch, and what the losses need of them; computed when asked for.

    Args:
        truth: `(N, H, W)`, class ids.
        logits: `(N, H, W, classes) float32`.
        classes: Number of classes.
        ignore_index: Id of pixels that do not count.
        class_weights: Weight of each class; `None` for equal ones.

    Attributes:
        valid: `(N, H, W) bool`, pixels that count.
        ids: `(N, H, W) int32`, the truth, 0 where it does not count.
        logits: As given, 0 where the truth does not count.
    """

    def __init__(
        self,
        truth: Tensor,
        logits: Tensor,
        classes: int,
        ignore_index: int = 255,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        truth = ops.cast(truth, "int32")
        known = ops.logical_and(truth >= 0, truth < classes)
        self.valid = ops.logical_and(known, truth != ignore_index)
        self.ids = ops.where(self.valid, truth, 0)
        # not multiplied: an infinite logit where nothing counts must not become NaN
        self.logits = ops.where(self.valid[..., None], ops.cast(logits, "float32"), 0.0)
        self.classes = classes
        weights = [1.0] * classes if class_weights is None else class_weights
        self.class_weights = ops.convert_to_tensor(list(weights), "float32")

    @functools.cached_property
    def counted(self) -> Tensor:
        """`(N, H, W) float32`, 1 where a pixel counts."""
        return ops.cast(self.valid, "float32")

    @functools.cached_property
    def weights(self) -> Tensor:
        """`(N, H, W) float32`, the weight of each pixel's class; 0 where it does not count."""
        return ops.take(self.class_weights, self.ids) * self.counted

    @functools.cached_property
    def cross_entropy(self) -> Tensor:
        """`(N, H, W) float32`, minus the logarithm of the true class's probability."""
        return ops.sparse_categorical_crossentropy(self.ids, self.logits, from_logits=True)

    @functools.cached_property
    def truth(self) -> Tensor:
        """`(N, H, W, classes) float32`, 1 for the true class; 0 where nothing counts."""
        return ops.one_hot(self.ids, self.classes) * self.counted[..., None]

    @functools.cached_property
    def probabilities(self) -> Tensor:
        """`(N, H, W, classes) float32`, softmax; 0 where the truth does not count."""
        return ops.softmax(self.logits, axis=-1) * self.counted[..., None]

    def mean(self, values: Tensor, weights: Tensor) -> Tensor:
        """The weighted mean of `(N, H, W)` values; 0 if no pixel has weight."""
        return _ratio(ops.sum(values * weights), ops.sum(weights))

    def class_mean(self, values: Tensor) -> Tensor:
        """The weighted mean of `(classes,)` values over the classes of the batch's truth."""
        shown = ops.cast(ops.sum(self.truth, axis=(0, 1, 2)) > 0, "float32")
        weights = shown * self.class_weights
        return _ratio(ops.sum(values * weights), ops.sum(weights))


def cross_entropy(pixels: Pixels) -> Tensor:
    """Minus the logarithm of the true class's probability, weighted mean over pixels."""
    return pixels.mean(pixels.cross_entropy, pixels.weights)


def focal(pixels: Pixels) -> Tensor:
    """`(1 - p) ** 2 * -log p` of the true class's probability, weighted mean over pixels.

    References:
        Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, equation 5,
        https://arxiv.org/abs/1708.02002.
    """
    hard = (1 - ops.exp(-pixels.cross_entropy)) ** GAMMA
    return pixels.mean(hard * pixels.cross_entropy, pixels.weights)


def ohem(pixels: Pixels) -> Tensor:
    """Cross-entropy of hard pixels: true class below 0.7, or among the hardest sixteenth.

    References:
        Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example
        Mining", CVPR 2016, https://arxiv.org/abs/1604.03540; for pixels: Wu et al., "High-
        performance Semantic Segmentation Using Very Deep Fully Convolutional Networks", 2016,
        https://arxiv.org/abs/1604.04339.
    """
    loss = ops.stop_gradient(ops.where(pixels.valid, pixels.cross_entropy, -1.0))
    hardest = ops.flip(ops.sort(ops.reshape(loss, (-1,))), axis=0)
    least = ops.take(hardest, ops.cast(ops.sum(pixels.counted), "int32") // KEPT)
    limit = ops.minimum(least, -ops.log(EASY))
    kept = ops.cast(loss >= limit, "float32")
    return pixels.mean(pixels.cross_entropy, pixels.weights * kept)


def _overlap(pixels: Pixels, false_positive: float, false_negative: float) -> Tensor:
    """1 minus the Tversky index of each class, weighted mean over classes.

    References:
        Salehi et al., "Tversky loss function for image segmentation using 3D fully convolutional
        deep networks", MLMI 2017, https://arxiv.org/abs/1706.05721.
    """
    hit = ops.sum(pixels.truth * pixels.probabilities, axis=(0, 1, 2))
    wrong = ops.sum(pixels.probabilities, axis=(0, 1, 2)) - hit
    missed = ops.sum(pixels.truth, axis=(0, 1, 2)) - hit
    return pixels.class_mean(
        1 - _ratio(hit, hit + false_positive * wrong + false_negative * missed)
    )


def dice(pixels: Pixels) -> Tensor:
    """1 minus the soft Dice coefficient of each class, weighted mean over classes.

    References:
        Sudre et al., "Generalised Dice overlap as a deep learning loss function for highly
        unbalanced segmentations", DLMIA 2017, without its smoothing and its weights,
        https://arxiv.org/abs/1707.03237.
    """
    return _overlap(pixels, 0.5, 0.5)


def jaccard(pixels: Pixels) -> Tensor:
    """1 minus the soft intersection over union of each class, weighted mean over classes.

    References:
        Rahman and Wang, "Optimizing Intersection-Over-Union in Deep Neural Networks for Image
        Segmentation", ISVC 2016.
    """
    return _overlap(pixels, 1.0, 1.0)


def tversky(pixels: Pixels) -> Tensor:
    """As `dice`, with misses (0.7) dearer than false alarms (0.3): for small or rare things."""
    return _overlap(pixels, FALSE_POSITIVE, FALSE_NEGATIVE)


def lovasz(pixels: Pixels) -> Tensor:
    """Lovász-softmax: the convex extension of each class's Jaccard loss, mean over classes.

    References:
        Berman et al., "The Lovász-Softmax loss", CVPR 2018, algorithm 1,
        https://arxiv.org/abs/1705.08790.
    """
    errors = ops.abs(pixels.truth - pixels.probabilities)
    errors = ops.transpose(ops.reshape(errors, (-1, pixels.classes)))
    truth = ops.transpose(ops.reshape(pixels.truth, (-1, pixels.classes)))
    order = ops.argsort(ops.stop_gradient(-errors), axis=-1)
    errors = ops.take_along_axis(errors, order, axis=-1)
    slope = _jaccard_slope(ops.take_along_axis(truth, order, axis=-1))
    return pixels.class_mean(ops.sum(errors * ops.stop_gradient(slope), axis=-1))


def _jaccard_slope(truth: Tensor) -> Tensor:
    """By how much the Jaccard loss grows when the pixel at each rank is wrong too.

    Args:
        truth: `(classes, pixels) float32`, 0 and 1, the worst error first.
    """
    positive = ops.sum(truth, axis=-1, keepdims=True)
    left = positive - ops.cumsum(truth, axis=-1)
    union = positive + ops.cumsum(1 - truth, axis=-1)
    loss = 1 - left / union
    return loss - ops.pad(loss[:, :-1], ((0, 0), (1, 0)))


def boundary(pixels: Pixels) -> Tensor:
    """1 minus the soft F1 of borders, mean over the classes of each image that have one.

    A border is where the largest "not this class" of the 3x3 pixels around exceeds the pixel's
    own; borders match within a square of 5x5. Borders of ignored areas are none.

    References:
        Bokhovkin and Burnaev, "Boundary Loss for Remote Sensing Imagery Semantic Segmentation",
        ISNN 2019, https://arxiv.org/abs/1905.07852.
    """
    inside = 1 - _widest(1 - pixels.counted[..., None], BORDER)
    true, found = (
        (_widest(1 - x, BORDER) - (1 - x)) * inside for x in (pixels.truth, pixels.probabilities)
    )
    precision = _ratio(_per_image(found * _widest(true, NEAR)), _per_image(found))
    recall = _ratio(_per_image(true * _widest(found, NEAR)), _per_image(true))
    loss = 1 - _ratio(2 * precision * recall, precision + recall)
    weights = ops.cast(_per_image(true) > 0, "float32") * pixels.class_weights
    return _ratio(ops.sum(loss * weights), ops.sum(weights))


def _widest(x: Tensor, side: int) -> Tensor:
    """The largest value of the square around each pixel, `(N, H, W, classes)`."""
    return ops.max_pool(x, side, strides=1, padding="same", data_format="channels_last")


def _per_image(x: Tensor) -> Tensor:
    return ops.sum(x, axis=(1, 2))


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """`part / whole`, 0 with gradient 0 where the whole is 0."""
    some = whole > SMALLEST
    return ops.where(some, part / ops.where(some, whole, 1.0), 0.0)


LOSSES: dict[str, Callable[[Pixels], Tensor]] = {
    "cross_entropy": cross_entropy,
    "dice": dice,
    "jaccard": jaccard,
    "iou": jaccard,
    "focal": focal,
    "lovasz": lovasz,
    "tversky": tversky,
    "ohem": ohem,
    "boundary": boundary,
}
