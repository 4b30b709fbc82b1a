"""Any Keras model as a backbone, with late strides turned into dilation."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from easyseg._keras import keras, layers
from easyseg.errors import ConfigError, InputError, WeightsError
from easyseg.models.backbones.atrous import atrous, copy_weights
from easyseg.models.backbones.base import Backbone, Features
from easyseg.models.backbones.keras_backbone import KerasBackbone
from easyseg.models.backbones.normalization import PREPROCESSING, preprocess
from easyseg.models.backbones.registry import BACKBONES, SKIPS, SPEC_OF
from easyseg.models.config import OUTPUT_STRIDES, ModelConfig
from easyseg.utils.registry import unknown_name

__all__ = ["Low", "atrous_features", "backbone_from", "backbone_of", "keras_graph", "load_source"]

Low = str | Mapping[int, str]
"""The layer at stride 4, or layers by their stride: {4: "block2_out", 8: "block3_out"}."""

NUMBERED = re.compile(r"(functional|sequential|model)(_\d+)?")  # Keras's name, not the user's


def backbone_of(config: ModelConfig) -> Backbone:
    """The backbone that a config names or holds."""
    return _from_graph if config.graph is not None else BACKBONES[config.backbone]


def keras_graph(
    model: Any, *, high: str | None = None, low: Low | None = None, preprocessing: str = "tf"
) -> KerasBackbone:
    """Makes the backbone of a config of a Keras model: `ModelConfig(keras_graph(...))`.

    Its late strides become dilation, as the config's output stride asks, and every window is
    centered on its position. Weights are no part of a config: `load_source` copies them.

    Args:
        model: A functional or sequential `keras.Model` from RGB images `(N, H, W, 3)`. Layers of
            your own must be registered (`keras.saving.register_keras_serializable`).
        high: Layer whose output goes to the head; what comes after it is left out.
        low: Layer whose output, at stride 4, goes to the decoder; with `{4: ..., 8: ...}` those
            for `skips=(4, 8)`. Without, there can be no decoder.
        preprocessing: What the model expects: "tf" for -1 to 1, "raw" for 0 to 255, or another
            row of `PREPROCESSING`.

    Raises:
        UnknownNameError: No such layer or preprocessing.
        InputError: The model is subclassed, so that it has no graph; or has another input; or a
            layer cannot be written as JSON.
        ConfigError: The graph has no atrous form, or a layer of `low` lies at another stride.
    """
    cut, lows = _cut(model, high, low, preprocessing)
    name = "keras_model" if NUMBERED.fullmatch(model.name) else re.sub(r"\W", "_", model.name)
    name = f"own_{name}" if name in SPEC_OF else name
    if any(isinstance(layer, layers.Lambda) for layer in cut._flatten_layers()):
        raise InputError(
            f"model={model.name!r} has a Lambda layer, whose code cannot be saved; make it a layer "
            "of your own, registered with keras.saving.register_keras_serializable."
        )
    try:
        network = json.loads(cut.to_json())
        again = _deserialised(network)
    except (ValueError, TypeError, LookupError, NotImplementedError) as error:
        raise InputError(
            f"model={model.name!r} cannot be written as JSON and read again ({_reason(error)}). A "
            "layer of your own needs get_config and keras.saving.register_keras_serializable."
        ) from error
    placed = atrous(again, keras.Input((None, None, 3)), output_stride=OUTPUT_STRIDES[-1], scope="")
    stride = list(placed.values())[-1].nominal
    if not stride:
        raise ConfigError(f"high={high!r} has no positions; choose a layer before it.")
    _low_features(placed, lows)
    return KerasBackbone(name, stride, str(high), tuple(lows.items()), preprocessing, network)


def load_source(network: Any, graph: KerasBackbone, model: Any) -> None:
    """Gives the backbone of a network the weights of the Keras model that its graph is of.

    Args:
        network: A network of `build_model(ModelConfig(graph))`.
        graph: What `keras_graph(model)` gave.
        model: The Keras model.
    """
    copy_weights(keras.Model(model.inputs, model.get_layer(graph.high).output), network, graph.name)


def backbone_from(
    model: Any, *, low: Low | None = None, high: str, preprocessing: str = "tf"
) -> Callable[[Any, ModelConfig], Features]:
    """Makes a backbone of a Keras model, for `BACKBONES.register`.

    Takes what `keras_graph` takes, layers that cannot be written too; weights are those that the
    model has.

    Returns:
        A function from the image `(N, H, W, 3)` in -1 to 1 and the config to `Features`. It
        raises `ConfigError` where the model has no atrous form at the config's output stride.

    Raises:
        UnknownNameError: No such layer or preprocessing.
        InputError: The model is subclassed, so that it has no graph; or has another input.
    """
    cut, lows = _cut(model, high, low, preprocessing)

    def backbone(x: Any, config: ModelConfig) -> Features:
        x = preprocess(x, preprocessing, config.backbone)
        return atrous_features(cut, x, config, low=lows)

    return backbone


def _from_graph(x: Any, config: ModelConfig) -> Features:
    graph: Any = config.graph
    try:
        network = _deserialised(graph.network)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise WeightsError(
            f"backbone {graph.name!r} cannot be made of its layers ({_reason(error)}). Import what "
            "registers layers of its own first, and use a Keras no older than the one that saved "
            "it."
        ) from error
    x = preprocess(x, graph.preprocessing, graph.name)
    return atrous_features(network, x, config, low=dict(graph.low))


def _deserialised(network: Mapping[str, Any]) -> Any:
    """The model with fresh weights; Keras takes its config apart, so it gets a copy."""
    return keras.saving.deserialize_keras_object(copy.deepcopy(dict(network)), safe_mode=True)


def _reason(error: Exception) -> str:
    """The first sentence of the innermost of Keras's errors, without the config that it shows."""
    innermost = str(error).rpartition("Exception encountered: ")[2]
    return re.split(r"\.\s|\n", innermost.strip())[0].rstrip(".")


def _cut(model: Any, high: Any, low: Any, preprocessing: str) -> tuple[Any, dict[int, str]]:
    """The model up to `high`, and the low-level layers by stride."""
    if not isinstance(model, (keras.Sequential, keras.Function)) or not model.built:
        raise InputError(
            f"model={type(model).__name__} has no graph of layers; give a functional or sequential "
            "keras.Model that was built."
        )
    shapes = [tuple(x.shape) for x in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][-1] != 3:
        raise InputError(
            f"model={model.name!r} takes {' and '.join(map(str, shapes))}; a backbone takes RGB "
            "images (N, H, W, 3)."
        )
    if preprocessing not in PREPROCESSING:
        raise unknown_name("preprocessing", preprocessing, PREPROCESSING)
    lows = {SKIPS[0]: low} if isinstance(low, str) else dict(low or {})
    for stride in lows:
        if stride not in SKIPS:
            raise InputError(
                f"low={low!r} names stride {stride!r}; a decoder takes features at strides 4 and 8."
            )
    if high is None:
        raise InputError(
            f"high=None names no layer; choose the one whose output the head gets, such as "
            f"{model.layers[-1].name!r}."
        )
    names = [layer.name for layer in model.layers]
    for name in (*lows.values(), high):
        if name not in names:
            raise unknown_name("layer", name, names)
    return keras.Model(model.inputs, model.get_layer(high).output), lows


def atrous_features(
    source: Any, x: Any, config: ModelConfig, *, low: Mapping[int, str] | None = None
) -> Features:
    """The features of a model, rebuilt on `x` for the output stride of a config.

    Args:
        source: A functional `keras.Model` that ends with the feature for the head.
        x: `(N, H, W, 3)` in the range that the model expects.
        config: Says the output stride.
        low: Layers by stride; `None` for the widest that there is at each, the last of those.

    Raises:
        ConfigError: The graph has no atrous form, or no features at these strides.
    """
    placed = atrous(source, x, output_stride=config.output_stride, scope=config.backbone)
    last, high = list(placed.items())[-1]
    if high.stride != config.output_stride:
        other = f", or output_stride={high.stride}" if high.stride in OUTPUT_STRIDES else ""
        raise ConfigError(
            f"output_stride={config.output_stride} cannot be built: {config.backbone!r} ends at "
            f"stride {high.stride}, after layer {last.name!r}; choose a layer at stride "
            f"{config.output_stride}{other}."
        )
    if low is None:
        return Features({s: _widest(_at(placed, s)) for s in SKIPS}, high.tensor)
    return Features(_low_features(placed, low), high.tensor)


def _at(placed: Mapping[Any, Any], stride: int) -> dict[str, Any]:
    """Features at a stride that they have at every output stride, by layer."""
    return {
        layer.name: place.tensor
        for layer, place in placed.items()
        if place.stride == place.nominal == stride
    }


def _low_features(placed: Mapping[Any, Any], low: Mapping[int, str]) -> dict[int, Any]:
    found = {}
    for stride, name in low.items():
        there = _at(placed, stride)
        if name not in there:
            hint = f"; layer {list(there)[-1]!r} would do" if there else ", and there is none"
            raise ConfigError(
                f"low={name!r} cannot feed the decoder, which needs a feature at stride {stride} "
                f"on the way to `high`{hint}."
            )
        found[stride] = there[name]
    return found


def _widest(features: dict[str, Any]) -> Any:
    return max(reversed(features.values()), key=lambda feature: feature.shape[-1])
