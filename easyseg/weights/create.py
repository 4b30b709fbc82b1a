"""New networks to train: architecture, initial weights and classes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from easyseg._keras import keras_defaults
from easyseg.datasets.class_names import label_set_of, make_label_set
from easyseg.errors import InputError
from easyseg.models.backbones.custom_keras import keras_graph, load_source
from easyseg.models.build import build_model
from easyseg.models.config import ModelConfig
from easyseg.models.presets import preset as config_of
from easyseg.results.label_set import LabelSet
from easyseg.utils.validation import is_count
from easyseg.weights.imagenet import load_imagenet
from easyseg.weights.loader import LoadedModel

FOR_KERAS = "is for a Keras model as backbone"
NOT_FOR_KERAS = "is not for a Keras model as backbone, whose weights are kept"


@keras_defaults()
def create_model(
    backbone: Any = None,
    *,
    num_classes: int | None = None,
    class_names: Sequence[str] | LabelSet | None = None,
    layers: Mapping[str, Any] = MappingProxyType({}),
    preset: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    **fields: Any,
) -> LoadedModel:
    """Builds a network to train; see `SemanticSegmentation.create`.

    Args:
        backbone: A name, or a Keras model, whose weights are kept; `None` for the preset's.
        num_classes: Number of classes; give this or `class_names`.
        class_names: Their names, or a label set.
        layers: For a Keras model, arguments of `keras_graph`; `None` values are left to it.
        preset: An entry of `PRESETS` to start from; by default `ModelConfig()`.
        weights: As in `load_imagenet`; `None` for random weights.
        **fields: Other fields of `ModelConfig`.
    """
    label_set = _label_set(num_classes, class_names)
    config = ModelConfig() if preset is None else config_of(preset)
    source = None if isinstance(backbone, str) else backbone
    if source is None:
        _refuse(layers, FOR_KERAS)
        fields |= {} if backbone is None else {"backbone": backbone}
    else:
        _refuse({"weights": weights}, NOT_FOR_KERAS)
        graph = keras_graph(source, **{k: v for k, v in layers.items() if v is not None})
        fields["graph"] = graph
    config = config.replace(**fields, num_classes=len(label_set))
    model = build_model(config)
    if source is not None:
        load_source(model, graph, source)
    if weights is not None:
        load_imagenet(model, config, weights=weights)
    return LoadedModel(model, config, label_set)


def _refuse(choices: Mapping[str, Any], why: str) -> None:
    for name, value in choices.items():
        if value is not None:
            raise InputError(f"{name}={value!r} {why}; leave it out.")


def _label_set(num_classes: int | None, names: Sequence[str] | LabelSet | None) -> LabelSet:
    if (num_classes is None) == (names is None):
        raise InputError(
            "give either num_classes, such as num_classes=3, or class_names, such as "
            'class_names=["road", "car", "sky"].'
        )
    if names is None:
        if num_classes is None or not is_count(num_classes):
            raise InputError(
                f"num_classes={num_classes!r} must be a whole number from 1; names go into "
                "class_names."
            )
        return make_label_set("custom", [f"class {i}" for i in range(int(num_classes))])
    return label_set_of(names)
