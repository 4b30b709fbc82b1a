"""MobileNetV2 as DeepLab uses it: without the last 1280-channel convolution, any width.

References:
    Sandler et al., "MobileNetV2", CVPR 2018, table 2, https://arxiv.org/abs/1801.04381.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from easyseg._keras import layers
from easyseg.config import ModelConfig
from easyseg.models.backbones.table import BACKBONES, Features
from easyseg.models.blocks import Norm, conv_bn, depthwise_bn
from easyseg.models.strides import atrous_schedule

NORM = Norm(epsilon=1e-3, momentum=0.997)
SCOPE = "MobilenetV2"


class Row(NamedTuple):
    """`repeats` inverted residuals of `channels` outputs; the first one strides."""

    channels: int
    repeats: int
    stride: int
    expansion: int = 6


TABLE = (
    Row(16, 1, 1, expansion=1),
    Row(24, 2, 2),
    Row(32, 3, 2),
    Row(64, 4, 2),
    Row(96, 3, 1),
    Row(160, 3, 2),
    Row(320, 1, 1),
)
LOW_LEVEL = "expanded_conv_2"


@BACKBONES.register("mobilenetv2")
def mobilenet_v2(x: Any, config: ModelConfig) -> Features:
    """`(N, H, W, 3)` -> low `(N, H/4, W/4, 144)`, high `(N, H/os, W/os, 320)` at width 1.

    The low-level feature is the depthwise output of the second block at stride 4.
    """
    multiplier = config.depth_multiplier
    x = conv_bn(
        x, _width(32, multiplier), 3, stride=2, name=f"{SCOPE}-Conv", norm=NORM, activation="relu6"
    )
    units = [
        row._replace(stride=row.stride if i == 0 else 1)
        for row in TABLE
        for i in range(row.repeats)
    ]
    schedule = atrous_schedule([u.stride for u in units], config.output_stride, reached=2)
    low = None
    for i, (unit, (stride, rate)) in enumerate(zip(units, schedule, strict=True)):
        name = "expanded_conv" + (f"_{i}" if i else "")
        x, depthwise = _inverted_residual(
            x,
            _width(unit.channels, multiplier),
            expansion=unit.expansion,
            stride=stride,
            rate=rate,
            name=f"{SCOPE}-{name}",
        )
        if name == LOW_LEVEL:
            low = depthwise
    return Features(low, x)


def _inverted_residual(
    x: Any, channels: int, *, expansion: int, stride: int, rate: int, name: str
) -> tuple[Any, Any]:
    """Expand, depthwise, project; also returns the depthwise output."""
    inputs = x
    if expansion > 1:
        expanded = _round_to(inputs.shape[-1] * expansion, 8)
        x = conv_bn(x, expanded, 1, name=f"{name}-expand", norm=NORM, activation="relu6")
    x = depthwise = depthwise_bn(
        x, stride=stride, rate=rate, name=f"{name}-depthwise", norm=NORM, activation="relu6"
    )
    x = conv_bn(x, channels, 1, name=f"{name}-project", norm=NORM, activation=None)
    if stride == 1 and inputs.shape[-1] == channels:
        x = layers.Add(name=f"{name}-add")([x, inputs])
    return x, depthwise


def _width(channels: int, multiplier: float) -> int:
    """Channels at this width. As in DeepLab, widths other than 1 are not rounded to eights."""
    return channels if multiplier == 1 else max(1, int(channels * multiplier + 0.5))


def _round_to(channels: float, divisor: int) -> int:
    """The nearest multiple of `divisor` that does not lose more than a tenth."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor
