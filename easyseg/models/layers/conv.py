"""Convolutions as DeepLab writes them: conv, norm, activation; plain or separable.

A layer's name is its scope in Google's checkpoints with "-" for "/", as in
"decoder-decoder_conv0_depthwise-BatchNorm", so that names, papers and weight files agree
(see `easyseg.weights.variable_names`).
"""

from __future__ import annotations

from typing import Any

from easyseg._keras import keras, layers, ops
from easyseg.models.config import ModelConfig
from easyseg.models.layers.norm import Norm

Tensor = Any

SIXTH = 0.16667
LOGITS = "logits-semantic"  # its name in Google's checkpoints, by which `logits_model` finds it


@keras.saving.register_keras_serializable("easyseg")
def hard_gate(x: Tensor) -> Tensor:
    """MobileNetV3's hard sigmoid, with the sixth to as many digits as in Google's graph.

    It is scaled before it is clipped: OpenVINO takes `relu6(x + 3) * 0.16667` for its own operation
    with an exact sixth, which the gates of all blocks multiply to a larger difference.

    References:
        Howard et al., MobileNetV3, ICCV 2019, section 5.2, https://arxiv.org/abs/1905.02244.
    """
    return ops.clip(x * SIXTH + 3 * SIXTH, 0, 6 * SIXTH)


def activate(x: Tensor, activation: str | None, name: str) -> Tensor:
    """`x` after the activation, if there is one."""
    return (
        x if activation is None else layers.Activation(activation, name=f"{name}-{activation}")(x)
    )


def conv_bn(
    x: Tensor,
    filters: int,
    kernel: int,
    *,
    name: str,
    norm: Norm,
    stride: int = 1,
    rate: int = 1,
    activation: str | None = "relu",
    explicit_padding: bool = False,
) -> Tensor:
    """Convolution without bias, norm, activation.

    Args:
        x: `(N, H, W, C)`.
        filters: Output channels.
        kernel: Side of the kernel.
        name: Name of the convolution.
        norm: What makes the norm after it.
        stride: 1 or 2.
        rate: Dilation rate.
        activation: "relu", "relu6", "hard_swish" or `None`.
        explicit_padding: Strided convolutions pad the same on both sides, as Xception's do,
            instead of TensorFlow's SAME, which for even sizes pads the far side only.
    """
    x, padding = _pad_if_strided(x, kernel, stride, name, explicit=explicit_padding)
    x = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding=padding,
        dilation_rate=rate,
        use_bias=False,
        name=name,
    )(x)
    return activate(norm(x, name), activation, name)


def depthwise_bn(
    x: Tensor,
    *,
    name: str,
    norm: Norm,
    kernel: int = 3,
    stride: int = 1,
    rate: int | tuple[int, int] = 1,
    activation: str | None = "relu",
    explicit_padding: bool = False,
) -> Tensor:
    """Depthwise convolution without bias, norm, activation; as `conv_bn`."""
    x, padding = _pad_if_strided(x, kernel, stride, name, explicit=explicit_padding)
    x = layers.DepthwiseConv2D(
        kernel, strides=stride, padding=padding, dilation_rate=rate, use_bias=False, name=name
    )(x)
    return activate(norm(x, name), activation, name)


def separable_conv_bn(
    x: Tensor,
    filters: int,
    *,
    name: str,
    norm: Norm,
    stride: int = 1,
    rate: int | tuple[int, int] = 1,
    activation: str | None = "relu",
    explicit_padding: bool = False,
) -> Tensor:
    """Depthwise 3x3 and pointwise 1x1, each with its own norm and activation."""
    x = depthwise_bn(
        x,
        name=f"{name}_depthwise",
        norm=norm,
        stride=stride,
        rate=rate,
        activation=activation,
        explicit_padding=explicit_padding,
    )
    return conv_bn(x, filters, 1, name=f"{name}_pointwise", norm=norm, activation=activation)


def _pad_if_strided(
    x: Tensor, kernel: int, stride: int, name: str, *, explicit: bool
) -> tuple[Tensor, str]:
    if not explicit or stride == 1:
        return x, "same"
    before = (kernel - 1) // 2
    pad = (before, kernel - 1 - before)
    return layers.ZeroPadding2D((pad, pad), name=f"{name}-pad")(x), "valid"


def drop(x: Tensor, config: ModelConfig, position: str, *, name: str) -> Tensor:
    """`x` after the dropout that the config has at this position, if any.

    References:
        Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
        JMLR 2014, https://jmlr.org/papers/v15/srivastava14a.html.
    """
    rate = config.dropout_rates.get(position, 0)
    return layers.Dropout(rate, name=f"{name}-dropout")(x) if rate else x


def classify(x: Tensor, config: ModelConfig) -> Tensor:
    """`(N, h, w, C)` -> logits `(N, h, w, num_classes)` float32, by a 1x1 convolution."""
    x = drop(x, config, "logits", name="logits")
    return layers.Conv2D(config.num_classes, 1, name=LOGITS, dtype="float32")(x)
