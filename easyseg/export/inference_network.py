"""A copy of a network that computes the same in fewer operations."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from easyseg._keras import keras, layers
from easyseg.models.layers.resize import AlignCornersResize

__all__ = ["SingleOpDepthwise", "SingleOpResize", "folded_norms", "inference_network"]

REBUILT = ("keras.", "easyseg.")  # packages whose layers are rebuilt; others' keep their weights
CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)


class SingleOpResize(AlignCornersResize):
    """`AlignCornersResize` as TensorFlow's own operation, which runtimes know.

    Keras has no bilinear resizing with aligned corners, so `AlignCornersResize` takes a dozen
    operations.
    """

    def call(self, x: Any, like: Any) -> Any:
        """`(N, h, w, C)`, `(N, H, W, D)` -> `(N, H, W, C)`."""
        import tensorflow as tf  # noqa: PLC0415

        size = tuple(like.shape[1:3])
        if None in size:
            size = tf.shape(like)[1:3]
        resized = tf.raw_ops.ResizeBilinear(images=x, size=size, align_corners=True)
        return tf.cast(resized, x.dtype)  # the operation always returns float32


class SingleOpDepthwise(layers.DepthwiseConv2D):
    """A dilated depthwise convolution as one operation of TensorFlow's, without its bias's layer.

    Keras moves pixels into the batch and back, by sizes that converters can follow only where they
    are constant. TensorFlow has no kernel for this operation; other runtimes have.
    """

    def call(self, x: Any) -> Any:
        """`(N, H, W, C)` -> `(N, H, W, C * depth_multiplier)`."""
        import tensorflow as tf  # noqa: PLC0415

        x = tf.raw_ops.DepthwiseConv2dNative(
            input=x,
            filter=self.kernel,
            strides=[1, 1, 1, 1],
            padding=self.padding.upper(),
            dilations=[1, *self.dilation_rate, 1],
        )
        return x + self.bias if self.use_bias else x


def inference_network(network: Any, *, single_ops: bool = True) -> Any:
    """A copy for inference alone, with batch norms folded into the convolutions before them.

    In inference `gamma (w x + b - mean) / sqrt(var + epsilon) + beta` is one convolution with the
    kernel `s w` and the bias `beta + s (b - mean)`, where `s = gamma / sqrt(var + epsilon)` for
    each output channel; it is computed in float64. A batch norm that does not follow a
    convolution, or whose convolution has other uses, stays.

    Args:
        network: A functional `keras.Model`, which keeps its own weights.
        single_ops: For converters: resizing and dilated depthwise convolutions are one operation
            each. TensorFlow itself cannot run all of these.

    References:
        Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3.1,
        https://arxiv.org/abs/1502.03167.
    """
    norms = _foldable_norms(network)
    folded = {norm.name for norm in norms.values()}

    def clone(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return inference_network(layer, single_ops=single_ops)
        if not type(layer).__module__.startswith(REBUILT):
            return _twin(layer)
        config = layer.get_config()
        if layer.name in norms:
            config["use_bias"] = True
        return (_single_op(layer) if single_ops else type(layer)).from_config(config)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return args[0] if layer.name in folded else layer(*args, **kwargs)

    copy = keras.models.clone_model(network, clone_function=clone, call_function=call)
    for layer in copy.layers:
        if layer.name in norms:
            layer.set_weights(_folded_weights(network.get_layer(layer.name), norms[layer.name]))
        elif layer.weights and not isinstance(layer, keras.Model):
            layer.set_weights(network.get_layer(layer.name).get_weights())
    return copy


def _twin(layer: Any) -> Any:
    """The layer with the same variables, for use in another network.

    Not all layers of other packages, such as KerasHub's, can be made from their own config.
    """
    twin = object.__new__(type(layer))
    vars(twin).update(vars(layer), _inbound_nodes=[], _outbound_nodes=[])
    return twin


def _single_op(layer: Any) -> Any:
    """The layer's class, or the one that computes the same as one operation."""
    if type(layer) is AlignCornersResize:
        return SingleOpResize
    dilated = type(layer) is layers.DepthwiseConv2D and max(layer.dilation_rate) > 1
    linear = dilated and layer.activation is keras.activations.linear
    return SingleOpDepthwise if linear and layer.strides in (1, (1, 1)) else type(layer)


def folded_norms(network: Any) -> dict[str, str]:
    """Names of the batch norms that `inference_network` folds, by the convolution's name."""
    return {name: norm.name for name, norm in _foldable_norms(network).items()}


def _foldable_norms(network: Any) -> dict[str, Any]:
    """The batch norm that is the only use of a convolution's output, by the convolution's name."""
    nodes = [node for level in network._nodes_by_depth.values() for node in level]
    calls = Counter(node.operation.name for node in nodes)
    uses = Counter(parent.operation.name for node in nodes for parent in node.parent_nodes)
    uses.update(tensor._keras_history.operation.name for tensor in network.outputs)
    norms = {}
    for node in nodes:
        if not isinstance(node.operation, layers.BatchNormalization):
            continue
        before = node.parent_nodes[0].operation
        once = uses[before.name] == calls[before.name] == calls[node.operation.name] == 1
        if type(before) in CONVOLUTIONS and before.activation is keras.activations.linear and once:
            norms[before.name] = node.operation
    return norms


def _folded_weights(convolution: Any, norm: Any) -> list[np.ndarray]:
    """Kernel and bias of the convolution that includes the batch norm."""

    def value(variable: Any, default: float) -> Any:
        return default if variable is None else variable.numpy().astype(np.float64)

    scale = value(norm.gamma, 1) / np.sqrt(value(norm.moving_variance, 1) + norm.epsilon)
    kernel = value(convolution.kernel, 1)
    if isinstance(convolution, layers.DepthwiseConv2D):  # (h, w, channels, multiplier)
        kernel = kernel * scale.reshape(kernel.shape[2:])
    else:
        kernel = kernel * scale
    bias = value(convolution.bias, 0) - value(norm.moving_mean, 0)
    return [kernel, value(norm.beta, 0) + scale * bias]
