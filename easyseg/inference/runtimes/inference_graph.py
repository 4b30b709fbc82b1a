"""A network for inference alone: batch norms within the convolutions, or in bfloat16."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from easyseg._keras import keras, layers

__all__ = ["fold_batch_norms", "take_weights", "with_dtype"]

CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)
HALF = (
    *CONVOLUTIONS,
    layers.BatchNormalization,
    layers.Activation,
    layers.ReLU,
    layers.Add,
    layers.Concatenate,
    layers.ZeroPadding2D,
    layers.Dropout,
)
"""Layers that compute in half precision; where positions are computed float32 stays."""


def fold_batch_norms(network: Any) -> Any:
    """A copy in which a convolution does what the batch norm after it did.

    In inference `gamma (w x + b - mean) / sqrt(var + epsilon) + beta` is one convolution with the
    kernel `s w` and the bias `beta + s (b - mean)`, where `s = gamma / sqrt(var + epsilon)` for
    each output channel. It is computed in float64. A batch norm that does not follow a
    convolution, or not it alone, stays.

    Args:
        network: A functional `keras.Model`, which keeps its own weights.

    References:
        Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3.1,
        https://arxiv.org/abs/1502.03167.
    """
    norms = _norms_after(network)
    folded = {norm.name for norm in norms.values()}

    def clone(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return fold_batch_norms(layer)
        config = layer.get_config()
        if layer.name in norms:
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return args[0] if layer.name in folded else layer(*args, **kwargs)

    copy = keras.models.clone_model(network, clone_function=clone, call_function=call)
    new = {name: _folded(network.get_layer(name), norm) for name, norm in norms.items()}
    take_weights(copy, network, new)
    return copy


def with_dtype(network: Any, dtype: str) -> Any:
    """A copy whose convolutions compute in "bfloat16" or "float16"; logits stay float32."""

    def clone(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return with_dtype(layer, dtype)
        config = layer.get_config()
        if isinstance(layer, HALF) and layer.name not in network.output_names:
            config["dtype"] = dtype
        return type(layer).from_config(config)

    copy = keras.models.clone_model(network, clone_function=clone)
    take_weights(copy, network)
    return copy


def take_weights(
    copy: Any, network: Any, new: Mapping[str, Sequence[np.ndarray]] = MappingProxyType({})
) -> None:
    """Gives the layers of a copy the weights of the network's by name, but nested networks.

    Args:
        copy: A clone of the network; it may have layers of its own, and their order may differ.
        network: Where the weights are.
        new: Weights of layers that have others.
    """
    for layer in copy.layers:
        if layer.name in new:
            layer.set_weights(new[layer.name])
        elif layer.weights and not isinstance(layer, keras.Model):
            layer.set_weights(network.get_layer(layer.name).get_weights())


def _norms_after(network: Any) -> dict[str, Any]:
    """The batch norm that alone uses the output of each convolution, by the latter's name."""
    nodes = [node for level in network._nodes_by_depth.values() for node in level]
    calls = Counter(node.operation.name for node in nodes)
    uses = Counter(before.operation.name for node in nodes for before in node.parent_nodes)
    uses.update(tensor._keras_history.operation.name for tensor in network.outputs)
    found = {}
    for node in nodes:
        if not isinstance(node.operation, layers.BatchNormalization):
            continue
        before = node.parent_nodes[0].operation
        alone = uses[before.name] == calls[before.name] == calls[node.operation.name] == 1
        if type(before) in CONVOLUTIONS and before.activation is keras.activations.linear and alone:
            found[before.name] = node.operation
    return found


def _folded(convolution: Any, norm: Any) -> list[np.ndarray]:
    def value(variable: Any, default: float) -> Any:
        if variable is None:
            return default
        return variable.numpy().astype(np.float64)

    scale = value(norm.gamma, 1) / np.sqrt(value(norm.moving_variance, 1) + norm.epsilon)
    kernel = value(convolution.kernel, 1)
    if isinstance(convolution, layers.DepthwiseConv2D):  # (h, w, channels, multiplier)
        kernel = kernel * scale.reshape(kernel.shape[2:])
    else:
        kernel = kernel * scale
    bias = value(convolution.bias, 0) - value(norm.moving_mean, 0)
    return [kernel, value(norm.beta, 0) + scale * bias]
