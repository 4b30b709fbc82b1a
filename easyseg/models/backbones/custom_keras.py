"""Any Keras model as a backbone, with late strides turned into dilation."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any

from easyseg._keras import keras, keras_defaults, layers
from easyseg.errors import ConfigError, InputError, WeightsError
from easyseg.models.backbones.atrous import atrous, copy_weights
from easyseg.models.backbones.base import Backbone, Features
from easyseg.models.backbones.keras_backbone import KerasBackbone
from easyseg.models.backbones.normalization import PREPROCESSING, preprocess
from easyseg.models.backbones.registry import BACKBONES, OUTPUT_STRIDES, SKIPS, SPEC_OF
from easyseg.models.config import ModelConfig
from easyseg.utils.registry import unknown_name

Low = str | Mapping[int, str]
"""The layer at stride 4, or layers by their stride: {4: "block2_out", 8: "block3_out"}."""

UNNAMED = re.compile(r"(functional|sequential|model)(_\d+)?")  # Keras's name, not the user's


def backbone_of(config: ModelConfig) -> Backbone:
    """The backbone that a config names or holds."""
    return _from_graph if config.graph is not None else BACKBONES[config.backbone]


@keras_defaults()
def keras_graph(
    model: Any, *, high: str | None = None, low: Low | None = None, preprocessing: str = "tf"
) -> KerasBackbone:
    """Makes a Keras model the backbone of a config: `ModelConfig(graph=keras_graph(...))`.

    Its late strides become dilation, by the config's output stride, and every window is centered
    on its position. A config does not hold weights: `load_source` copies them.

    Args:
        model: A functional or sequential `keras.Model` from RGB images `(N, H, W, 3)`. Layers of
            your own must be registered (`keras.saving.register_keras_serializable`).
        high: Layer whose output goes to the head; later layers are left out.
        low: Layer whose output, at stride 4, goes to the decoder; `{4: ..., 8: ...}` for
            `skips=(4, 8)`. Without it only `decoder="none"` is possible.
        preprocessing: What the model expects: "tf" for -1 to 1, "raw" for 0 to 255, "tf128",
            "torch" or "caffe" (`PREPROCESSING`).

    Raises:
        UnknownNameError: No such layer or preprocessing.
        InputError: The model is subclassed, so that it has no graph; takes another input; or has a
            layer that cannot be written as JSON.
        ConfigError: The graph has no dilated form, or a layer of `low` lies at another stride.
    """
    trunk, lows = _trunk(model, high, low, preprocessing)
    name = "keras_model" if UNNAMED.fullmatch(model.name) else re.sub(r"\W", "_", model.name)
    name = f"own_{name}" if name in SPEC_OF else name
    if any(isinstance(layer, layers.Lambda) for layer in trunk._flatten_layers()):
        raise InputError(
            f"model={model.name!r} has a Lambda layer, whose code cannot be saved; replace it by a "
            "Layer class registered with keras.saving.register_keras_serializable."
        )
    try:
        network = json.loads(trunk.to_json())
        copied = _deserialized(network)
    except (ValueError, TypeError, LookupError, NotImplementedError) as error:
        raise InputError(
            f"model={model.name!r} cannot be written as JSON and read again ({_reason(error)}). "
            "Custom layers need get_config and keras.saving.register_keras_serializable."
        ) from error
    features = atrous(
        copied, keras.Input((None, None, 3)), output_stride=OUTPUT_STRIDES[-1], scope=""
    )
    stride = list(features.values())[-1].nominal
    if not stride:
        raise ConfigError(f"high={high!r} is not a feature map; choose a layer before it.")
    _low_features(features, lows)
    return KerasBackbone(name, stride, str(high), tuple(lows.items()), preprocessing, network)


@keras_defaults()
def load_source(network: Any, graph: KerasBackbone, model: Any) -> None:
    """Copies the weights of a Keras model to a network of its `keras_graph`."""
    copy_weights(keras.Model(model.inputs, model.get_layer(graph.high).output), network, graph.name)


def _from_graph(x: Any, config: ModelConfig) -> Features:
    graph: Any = config.graph
    try:
        network = _deserialized(graph.network)
    except Exception as error:  # Keras raises whatever the classes in the config raise
        raise WeightsError(
            f"backbone {graph.name!r} cannot be built from its layers ({_reason(error)}). Import "
            "the module that registers its custom layers first, and use a Keras no older than the "
            "one that saved it."
        ) from error
    x = preprocess(x, graph.preprocessing)
    return atrous_features(network, x, config, low=dict(graph.low))


def _deserialized(network: Mapping[str, Any]) -> Any:
    """The model with random weights; Keras takes its config apart, so it gets a copy."""
    return keras.saving.deserialize_keras_object(copy.deepcopy(dict(network)), safe_mode=True)


def _reason(error: Exception) -> str:
    """The first sentence of the innermost of Keras's errors, without the config in it."""
    innermost = str(error).rpartition("Exception encountered: ")[2]
    return re.split(r"\.\s|\n", innermost.strip())[0].rstrip(".")


def _trunk(model: Any, high: Any, low: Any, preprocessing: str) -> tuple[Any, dict[int, str]]:
    """The model up to `high`, and the low-level layers by stride."""
    if not isinstance(model, (keras.Sequential, keras.Function)) or not model.built:
        raise InputError(
            f"model: expected a built functional or sequential keras.Model, got "
            f"{type(model).__name__}, which has no graph of layers."
        )
    shapes = [tuple(x.shape) for x in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][-1] != 3:
        raise InputError(
            f"model={model.name!r}: expected one input of RGB images (N, H, W, 3), got "
            f"{' and '.join(map(str, shapes))}."
        )
    if preprocessing not in PREPROCESSING:
        raise unknown_name("preprocessing", preprocessing, PREPROCESSING)
    lows = {SKIPS[0]: low} if isinstance(low, str) else dict(low or {})
    for stride in lows:
        if stride not in SKIPS:
            raise InputError(
                f"low: expected features at strides 4 and 8, got stride {stride!r} in {low!r}."
            )
    if high is None:
        raise InputError(
            f"high: expected the layer whose output goes to the head, such as "
            f"{model.layers[-1].name!r}, got None."
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
        source: A functional `keras.Model` whose output is the feature for the head.
        x: `(N, H, W, 3)` in the range that the model expects.
        config: Gives the output stride and the backbone's name.
        low: Layers by stride; by default the widest at each stride, the last one of equal width.

    Raises:
        ConfigError: The graph has no dilated form, or no features at these strides.
    """
    rebuilt = atrous(source, x, output_stride=config.output_stride, scope=config.backbone)
    last, high = list(rebuilt.items())[-1]
    if high.stride != config.output_stride:
        other = f", or output_stride={high.stride}" if high.stride in OUTPUT_STRIDES else ""
        raise ConfigError(
            f"output_stride={config.output_stride} cannot be built: {config.backbone!r} ends at "
            f"stride {high.stride}, after layer {last.name!r}; choose a layer at stride "
            f"{config.output_stride}{other}."
        )
    if low is None:
        return Features({s: _widest(_at(rebuilt, s)) for s in SKIPS}, high.tensor)
    return Features(_low_features(rebuilt, low), high.tensor)


def _at(rebuilt: Mapping[Any, Any], stride: int) -> dict[str, Any]:
    """Features by layer that have this stride at every output stride."""
    return {
        layer.name: feature.tensor
        for layer, feature in rebuilt.items()
        if feature.stride == feature.nominal == stride
    }


def _low_features(rebuilt: Mapping[Any, Any], low: Mapping[int, str]) -> dict[int, Any]:
    features = {}
    for stride, name in low.items():
        candidates = _at(rebuilt, stride)
        if name not in candidates:
            hint = f"such as {list(candidates)[-1]!r}" if candidates else "of which there is none"
            raise ConfigError(
                f"low: expected a layer before `high` at stride {stride}, {hint}, got {name!r}."
            )
        features[stride] = candidates[name]
    return features


def _widest(features: dict[str, Any]) -> Any:
    return max(reversed(features.values()), key=lambda feature: feature.shape[-1])
