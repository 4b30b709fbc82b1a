"""MobileNetV2 as DeepLab uses it: without the last 1280-channel convolution, any width.

References:
    Sandler et al., "MobileNetV2", CVPR 2018, table 2, https://arxiv.org/abs/1801.04381.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from easyseg.models.backbones.base import Features
from easyseg.models.backbones.dilation import dilation_schedule
from easyseg.models.backbones.inverted_residual import NORM, inverted_residual, round_to
from easyseg.models.backbones.normalization import preprocess
from easyseg.models.backbones.registry import BACKBONES
from easyseg.models.config import ModelConfig
from easyseg.models.layers.conv import conv_bn

SCOPE = "MobilenetV2"


class Block(NamedTuple):
    """`repeats` inverted residuals of `channels` outputs; the first one strides."""

    channels: int
    repeats: int
    stride: int
    expansion: int = 6


BLOCKS = (
    Block(16, 1, 1, expansion=1),
    Block(24, 2, 2),
    Block(32, 3, 2),
    Block(64, 4, 2),
    Block(96, 3, 1),
    Block(160, 3, 2),
    Block(320, 1, 1),
)
LOW_LEVEL = {"expanded_conv_2": 4, "expanded_conv_5": 8}


@BACKBONES.register("mobilenetv2")
def mobilenet_v2(x: Any, config: ModelConfig) -> Features:
    """`(N, H, W, 3)` -> low at strides 4 and 8, high `(N, H/os, W/os, 320)` at width 1.

    The low-level features are the depthwise outputs of the last blocks at strides 4 and 8, of 144
    and 192 channels.
    """
    multiplier = config.depth_multiplier
    x = preprocess(x, "tf")
    x = conv_bn(
        x, _width(32, multiplier), 3, stride=2, name=f"{SCOPE}-Conv", norm=NORM, activation="relu6"
    )
    units = [
        block._replace(stride=block.stride if i == 0 else 1)
        for block in BLOCKS
        for i in range(block.repeats)
    ]
    schedule = dilation_schedule([u.stride for u in units], config.output_stride, reached=2)
    low = {}
    for i, (unit, (stride, rate)) in enumerate(zip(units, schedule, strict=True)):
        name = "expanded_conv" + (f"_{i}" if i else "")
        expanded = None if unit.expansion == 1 else round_to(x.shape[-1] * unit.expansion, 8)
        x, depthwise = inverted_residual(
            x,
            _width(unit.channels, multiplier),
            expanded=expanded,
            stride=stride,
            rate=rate,
            name=f"{SCOPE}-{name}",
        )
        if name in LOW_LEVEL:
            low[LOW_LEVEL[name]] = depthwise
    return Features(low, x)


def _width(channels: int, multiplier: float) -> int:
    """Channels at this width. As in DeepLab, widths other than 1 are not rounded to eights."""
    return channels if multiplier == 1 else max(1, int(channels * multiplier + 0.5))
