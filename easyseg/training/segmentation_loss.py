"""The loss that training minimizes: a weighted sum of entries of `LOSSES`."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from easyseg._keras import keras
from easyseg.errors import ConfigError
from easyseg.training.losses import LOSSES, Pixels
from easyseg.utils.registry import unknown_name

log = logging.getLogger(__name__)


@keras.saving.register_keras_serializable("easyseg")
class SegmentationLoss(keras.losses.Loss):
    """A sum of losses of logits, in float32 whatever the network computes in.

    Called with a mask `(N, H, W)` of class ids and logits `(N, H, W, classes)`; returns a scalar.
    Pixels of id 255, or of no class, are ignored: their gradient is 0. A batch of
    ignored pixels only has loss 0.

    Args:
        terms: Entries of `LOSSES` with their weights in the sum.
        classes: Number of classes.
        class_weights: Weight of each class, or `None` for equal ones.
        name: Of the loss, for Keras.
    """

    def __init__(
        self,
        terms: Mapping[str, float],
        classes: int,
        class_weights: Sequence[float] | None = None,
        name: str = "loss",
    ) -> None:
        super().__init__(name=name, reduction="sum_over_batch_size", dtype="float32")
        self.terms = dict(terms)
        self.classes = classes
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The sum, a scalar of float32."""
        pixels = Pixels(y_true, y_pred, self.classes, self.class_weights)
        return sum(weight * LOSSES[name](pixels) for name, weight in self.terms.items())

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        names = ("terms", "classes", "class_weights", "name")
        return {name: getattr(self, name) for name in names}


def make_loss(
    spec: str | Mapping[str, float],
    *,
    classes: int,
    class_weights: Sequence[float] | np.ndarray | None = None,
) -> SegmentationLoss:
    """The loss of a name or a sum of names.

    Args:
        spec: An entry of `LOSSES`; several with "+", as in "cross_entropy+dice"; or several with
            weights, as in {"cross_entropy": 1.0, "dice": 0.5}.
        classes: Number of classes, at least 2.
        class_weights: Weight of each class, from 0, `(classes,)`, such as
            `easyseg.datasets.class_weights` computes.

    Raises:
        ConfigError: There is no such loss, or a value breaks a rule.
    """
    if classes < 2:
        raise ConfigError(
            f"the data set has {classes} class, and training needs 2; name the background too."
        )
    terms = loss_terms(spec)
    if set(terms) == {"boundary"}:
        log.warning(
            "the boundary loss is 0 away from boundaries; add another, as in "
            "'cross_entropy+boundary'."
        )
    weights = None if class_weights is None else [float(weight) for weight in class_weights]
    if weights is not None and len(weights) != classes:
        raise ConfigError(
            f"class_weights={weights} must be {classes} numbers, one for each class, not "
            f"{len(weights)}."
        )
    return SegmentationLoss(terms, classes, weights)


def loss_terms(spec: str | Mapping[str, float]) -> dict[str, float]:
    """Names of losses and their weights."""
    if isinstance(spec, str):
        names = [name.strip() for name in spec.split("+")]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(
                f"loss={spec!r} lists {twice!r} twice; give it a weight: loss={{{twice!r}: 2}}."
            )
        spec = dict.fromkeys(names, 1.0)
    elif not isinstance(spec, Mapping) or not spec:
        raise ConfigError(
            f"loss={spec!r} must be a name such as 'cross_entropy', or names with weights such as "
            "{'cross_entropy': 1, 'dice': 0.5}."
        )
    for name, weight in spec.items():
        if name not in LOSSES:
            raise ConfigError(str(unknown_name("loss", name, LOSSES)))
        if not _positive(weight):
            raise ConfigError(
                f"loss={dict(spec)!r}: the weight of {name!r} must be a number above 0."
            )
    return {name: float(weight) for name, weight in spec.items()}


def _positive(value: object) -> bool:
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return real and math.isfinite(value) and value > 0  # type: ignore[arg-type, operator]
