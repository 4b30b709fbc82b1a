"""A network to train: what it looks like, what it begins with, and its classes."""

from __future__ import annotations

import numbers
import os
from collections.abc import Sequence
from typing import Any

from easyseg.config import ModelConfig, is_count
from easyseg.datasets.names import make_label_set
from easyseg.errors import InputError
from easyseg.labels import LabelSet
from easyseg.models.build import build_model
from easyseg.presets import preset as config_of
from easyseg.weights.imagenet import load_imagenet

__all__ = ["Classes", "new_model"]

Classes = int | Sequence[str] | LabelSet


def new_model(
    classes: Classes,
    *,
    preset: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    **fields: Any,
) -> tuple[Any, ModelConfig, LabelSet]:
    """Builds a network that has learned nothing yet, or its backbone alone.

    Args:
        classes: How many, their names, or a label set.
        preset: A row of `PRESETS` to begin from; by default `ModelConfig()`.
        weights: As in `load_imagenet`; without, all weights are random.
        **fields: Fields of `ModelConfig` other than `classes`.

    Returns:
        The network, its config and its classes.

    Raises:
        UnknownNameError: There is no such preset.
        ConfigError: There is no such field, or the network cannot be built.
        InputError: `classes` is none of these, or has a name twice; or there are no ImageNet
            weights for this backbone.
        WeightsError: The weights cannot be had, or are another network's.
    """
    label_set = _label_set(classes)
    config = ModelConfig() if preset is None else config_of(preset)
    config = config.replace(**{**fields, "classes": len(label_set)})
    model = build_model(config)
    if weights is not None:
        load_imagenet(model, config, weights=weights)
    return model, config, label_set


def _label_set(classes: Classes) -> LabelSet:
    if isinstance(classes, LabelSet):
        return classes
    if isinstance(classes, numbers.Integral) and is_count(classes):
        return make_label_set("own", [f"class {i}" for i in range(int(classes))])
    names = classes if isinstance(classes, (list, tuple)) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"classes={classes!r} must be a number from 1, names such as ['road', 'car'], or a "
            "LabelSet."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"classes has {twice} twice; rename one.")
    return make_label_set("own", names)
