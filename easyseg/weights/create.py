"""A network to train: what it looks like, what it begins with, and its classes."""

from __future__ import annotations

import numbers
import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from easyseg.datasets.class_names import make_label_set
from easyseg.errors import InputError
from easyseg.models.backbones.custom_keras import keras_graph, load_source
from easyseg.models.build import build_model
from easyseg.models.config import ModelConfig
from easyseg.models.presets import preset as config_of
from easyseg.results.label_set import LabelSet
from easyseg.utils.validation import is_count
from easyseg.weights.imagenet import load_imagenet

__all__ = ["Classes", "create_model"]

NAMED = "is for a Keras model as backbone, which has layers of its own"
SOURCE = "is not for a Keras model as backbone, which has weights of its own"

Classes = int | Sequence[str] | LabelSet


def create_model(
    classes: Classes,
    *,
    backbone: Any = None,
    layers: Mapping[str, Any] = MappingProxyType({}),
    preset: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    **fields: Any,
) -> tuple[Any, ModelConfig, LabelSet]:
    """Builds a network that has learned nothing yet, or its backbone alone.

    Args:
        classes: How many, their names, or a label set.
        backbone: A name, or a Keras model, with whose weights the network begins.
        layers: With a Keras model, "low", "high" and "preprocessing" as in `keras_graph`; what is
            `None` was not chosen.
        preset: A row of `PRESETS` to begin from; by default `ModelConfig()`.
        weights: As in `load_imagenet`; without, all weights are random.
        **fields: Other fields of `ModelConfig`.

    Returns:
        The network, its config and its classes.

    Raises:
        UnknownNameError: There is no such preset.
        ConfigError: There is no such field, or the network cannot be built.
        InputError: `classes` is none of these, or has a name twice; there are no ImageNet
            weights for this backbone; or the Keras model can be no backbone.
        WeightsError: The weights cannot be had, or are another network's.
    """
    label_set = _label_set(classes)
    config = ModelConfig() if preset is None else config_of(preset)
    source = None if isinstance(backbone, str) else backbone
    if source is None:
        _refuse(layers, NAMED)
        fields |= {} if backbone is None else {"backbone": backbone}
    else:
        _refuse({"weights": weights}, SOURCE)
        chosen = {name: value for name, value in layers.items() if value is not None}
        graph = keras_graph(source, **chosen)
        fields |= {"graph": graph}
    config = config.replace(**{**fields, "num_classes": len(label_set)})
    model = build_model(config)
    if source is not None:
        load_source(model, graph, source)
    if weights is not None:
        load_imagenet(model, config, weights=weights)
    return model, config, label_set


def _refuse(choices: Mapping[str, Any], why: str) -> None:
    for name, value in choices.items():
        if value is not None:
            raise InputError(f"{name}={value!r} {why}; leave it out.")


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
