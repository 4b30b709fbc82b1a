"""The losses, as functions of `Pixels`: ground truth and logits of a batch.

Region losses (Dice, Jaccard, Tversky) and the Lovász loss treat the batch as one image, and average
over the classes in its ground truth. Where devices share a batch, each has the `Pixels` of its
part, and sums are those of the whole batch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from easyseg._keras import ops
from easyseg.datasets.base import IGNORE
from easyseg.training.distribution import whole_batch

Tensor = Any

GAMMA = 2.0  # of the focal loss, Lin et al.
FALSE_POSITIVE, FALSE_NEGATIVE = 0.3, 0.7  # of the Tversky loss, Salehi et al.
EASY = 0.7  # probability of the true class above which OHEM leaves a pixel out
OHEM_FRACTION = 16  # OHEM keeps at least every 16th pixel
BOUNDARY, TOLERANCE = 3, 5  # pixels, sides of the max-pooling windows, Bokhovkin et al.
EPSILON = 1e-7


class Pixels:
    """Ground truth and logits of a batch, and what losses compute from them, once each.

    Args:
        mask: `(N, H, W)`, class ids.
        logits: `(N, H, W, classes) float32`.
        classes: Number of classes.
        class_weights: Weight of each class; `None` for equal ones.

    Attributes:
        valid: `(N, H, W) bool`, pixels that are not ignored.
        ids: `(N, H, W) int32`, the mask, 0 where ignored.
        logits: As passed, 0 where ignored.
    """

    def __init__(
        self,
        mask: Tensor,
        logits: Tensor,
        classes: int,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        mask = ops.cast(mask, "int32")
        known = ops.logical_and(mask >= 0, mask < classes)
        self.valid = ops.logical_and(known, mask != IGNORE)
        self.ids = ops.where(self.valid, mask, 0)
        # not multiplied: an infinite logit of an ignored pixel must not become NaN
        self.logits = ops.where(self.valid[..., None], ops.cast(logits, "float32"), 0.0)
        self.classes = classes
        weights = [1.0] * classes if class_weights is None else class_weights
        self.class_weights = ops.convert_to_tensor(list(weights), "float32")

    @functools.cached_property
    def valid_weight(self) -> Tensor:
        """`(N, H, W) float32`, 1 for valid pixels, 0 where ignored."""
        return ops.cast(self.valid, "float32")

    @functools.cached_property
    def weights(self) -> Tensor:
        """`(N, H, W) float32`, the weight of each pixel's class; 0 where ignored."""
        return ops.take(self.class_weights, self.ids) * self.valid_weight

    @functools.cached_property
    def cross_entropy(self) -> Tensor:
        """`(N, H, W) float32`, minus the logarithm of the true class's probability."""
        return ops.sparse_categorical_crossentropy(self.ids, self.logits, from_logits=True)

    @functools.cached_property
    def one_hot(self) -> Tensor:
        """`(N, H, W, classes) float32`, 1 for the true class; 0 where ignored."""
        return ops.one_hot(self.ids, self.classes) * self.valid_weight[..., None]

    @functools.cached_property
    def probabilities(self) -> Tensor:
        """`(N, H, W, classes) float32`, softmax; 0 where ignored."""
        return ops.softmax(self.logits, axis=-1) * self.valid_weight[..., None]

    def mean(self, values: Tensor, weights: Tensor) -> Tensor:
        """The weighted mean of `(N, H, W)` values; 0 if no pixel has weight."""
        return _ratio(whole_batch(ops.sum(values * weights)), whole_batch(ops.sum(weights)))

    def class_sum(self, values: Tensor) -> Tensor:
        """The sum of `(N, H, W, classes)` values, `(classes,)`."""
        return whole_batch(ops.sum(values, axis=(0, 1, 2)))

    def class_mean(self, values: Tensor) -> Tensor:
        """The weighted mean of `(classes,)` values over the classes in the ground truth."""
        present = ops.cast(self.class_sum(self.one_hot) > 0, "float32")
        weights = present * self.class_weights
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
    least = ops.take(hardest, ops.cast(ops.sum(pixels.valid_weight), "int32") // OHEM_FRACTION)
    limit = ops.minimum(least, -ops.log(EASY))
    hard = ops.cast(loss >= limit, "float32")
    return pixels.mean(pixels.cross_entropy, pixels.weights * hard)


def _overlap(pixels: Pixels, false_positive: float, false_negative: float) -> Tensor:
    """1 minus the Tversky index of each class, weighted mean over classes.

    References:
        Salehi et al., "Tversky loss function for image segmentation using 3D fully convolutional
        deep networks", MLMI 2017, https://arxiv.org/abs/1706.05721.
    """
    true_positive = pixels.class_sum(pixels.one_hot * pixels.probabilities)
    wrong = pixels.class_sum(pixels.probabilities) - true_positive
    missed = pixels.class_sum(pixels.one_hot) - true_positive
    whole = true_positive + false_positive * wrong + false_negative * missed
    return pixels.class_mean(1 - _ratio(true_positive, whole))


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
    """As `dice`, with false negatives (0.7) weighing more than false positives (0.3)."""
    return _overlap(pixels, FALSE_POSITIVE, FALSE_NEGATIVE)


def lovasz(pixels: Pixels) -> Tensor:
    """Lovász-softmax: the convex extension of each class's Jaccard loss, mean over classes.

    References:
        Berman et al., "The Lovász-Softmax loss", CVPR 2018, algorithm 1,
        https://arxiv.org/abs/1705.08790.
    """
    errors = ops.abs(pixels.one_hot - pixels.probabilities)
    errors = ops.transpose(ops.reshape(errors, (-1, pixels.classes)))
    one_hot = ops.transpose(ops.reshape(pixels.one_hot, (-1, pixels.classes)))
    order = ops.argsort(ops.stop_gradient(-errors), axis=-1)
    errors = ops.take_along_axis(errors, order, axis=-1)
    slope = _jaccard_slope(ops.take_along_axis(one_hot, order, axis=-1))
    return pixels.class_mean(ops.sum(errors * ops.stop_gradient(slope), axis=-1))


def _jaccard_slope(one_hot: Tensor) -> Tensor:
    """The growth of the Jaccard loss with each pixel that is wrong too.

    Args:
        one_hot: `(classes, pixels) float32`, 0 and 1, the largest error first.
    """
    positive = ops.sum(one_hot, axis=-1, keepdims=True)
    intersection = positive - ops.cumsum(one_hot, axis=-1)
    union = positive + ops.cumsum(1 - one_hot, axis=-1)
    loss = 1 - intersection / union
    return loss - ops.pad(loss[:, :-1], ((0, 0), (1, 0)))


def boundary(pixels: Pixels) -> Tensor:
    """1 minus the soft boundary F1, mean over the classes of each image that have a boundary.

    A boundary is where the maximum of "not this class" in a 3x3 window exceeds the pixel's own;
    boundaries match within a 5x5 window. The edges of ignored areas are not boundaries.

    References:
        Bokhovkin and Burnaev, "Boundary Loss for Remote Sensing Imagery Semantic Segmentation",
        ISNN 2019, https://arxiv.org/abs/1905.07852.
    """
    inside = 1 - _max_pool(1 - pixels.valid_weight[..., None], BOUNDARY)
    true, predicted = (
        (_max_pool(1 - x, BOUNDARY) - (1 - x)) * inside
        for x in (pixels.one_hot, pixels.probabilities)
    )
    precision = _ratio(_per_image(predicted * _max_pool(true, TOLERANCE)), _per_image(predicted))
    recall = _ratio(_per_image(true * _max_pool(predicted, TOLERANCE)), _per_image(true))
    loss = 1 - _ratio(2 * precision * recall, precision + recall)
    weights = ops.cast(_per_image(true) > 0, "float32") * pixels.class_weights
    return _ratio(whole_batch(ops.sum(loss * weights)), whole_batch(ops.sum(weights)))


def _max_pool(x: Tensor, side: int) -> Tensor:
    """The maximum of the window around each pixel, `(N, H, W, classes)`."""
    return ops.max_pool(x, side, strides=1, padding="same", data_format="channels_last")


def _per_image(x: Tensor) -> Tensor:
    return ops.sum(x, axis=(1, 2))


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """`part / whole`, 0 with gradient 0 where the whole is 0."""
    positive = whole > EPSILON
    return ops.where(positive, part / ops.where(positive, whole, 1.0), 0.0)


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

SORTING = ("lovasz", "ohem")  # the pixels of the whole batch, which no device has of a shared one
