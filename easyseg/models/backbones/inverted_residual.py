"""The inverted residual: expand, depthwise, project; the block of MobileNetV2 and V3.

References:
    Sandler et al., MobileNetV2, CVPR 2018, section 3, https://arxiv.org/abs/1801.04381.
    Howard et al., MobileNetV3, ICCV 2019, section 5.3 (squeeze and excite),
    https://arxiv.org/abs/1905.02244.
"""

from __future__ import annotations

from typing import Any

from easyseg._keras import layers
from easyseg.models.layers.conv import conv_bn, depthwise_bn, hard_gate
from easyseg.models.layers.norm import BatchNorm

NORM = BatchNorm(epsilon=1e-3, momentum=0.997)


def inverted_residual(
    x: Any,
    channels: int,
    *,
    expanded: int | None,
    name: str,
    kernel: int = 3,
    stride: int = 1,
    rate: int = 1,
    activation: str = "relu6",
    squeeze: bool = False,
) -> tuple[Any, Any]:
    """Expand, depthwise, project, which is linear; also returns the depthwise output.

    Without `expanded` there is no expansion; `squeeze` squeezes and excites before the projection.
    """
    inputs = x
    if expanded is not None:
        x = conv_bn(x, expanded, 1, name=f"{name}-expand", norm=NORM, activation=activation)
    x = depthwise = depthwise_bn(
        x,
        kernel=kernel,
        stride=stride,
        rate=rate,
        name=f"{name}-depthwise",
        norm=NORM,
        activation=activation,
    )
    if squeeze:
        x = _squeeze_excite(x, name=f"{name}-squeeze_excite")
    x = conv_bn(x, channels, 1, name=f"{name}-project", norm=NORM, activation=None)
    if stride == 1 and inputs.shape[-1] == channels:
        x = layers.Add(name=f"{name}-add")([x, inputs])
    return x, depthwise


def _squeeze_excite(x: Any, *, name: str) -> Any:
    """Each channel times a gate from 0 to 1, a function of the means of all channels."""
    channels = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}-mean")(x)
    gate = layers.Conv2D(round_to(channels / 4, 8), 1, activation="relu", name=f"{name}-Conv")(gate)
    gate = layers.Conv2D(channels, 1, activation=hard_gate, name=f"{name}-Conv_1")(gate)
    return layers.Multiply(name=f"{name}-multiply")([x, gate])


def round_to(channels: float, divisor: int) -> int:
    """The nearest multiple of `divisor` that does not lose more than a tenth."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor
