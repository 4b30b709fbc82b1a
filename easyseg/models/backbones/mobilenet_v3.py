"""MobileNetV3 large and small as DeepLab uses them: the last stage at half its width.

References:
    Howard et al., "Searching for MobileNetV3", ICCV 2019, tables 1 and 2, and section 6.4 for
    segmentation, https://arxiv.org/abs/1905.02244.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from easyseg.models.backbones.base import Features
from easyseg.models.backbones.dilation import dilation_schedule
from easyseg.models.backbones.inverted_residual import NORM, inverted_residual, round_to
from easyseg.models.backbones.normalization import preprocess
from easyseg.models.backbones.registry import BACKBONES
from easyseg.models.config import ModelConfig
from easyseg.models.layers.conv import conv_bn

SCOPE = "MobilenetV3"


class Block(NamedTuple):
    """An inverted residual; the columns are those of the paper's tables."""

    kernel: int
    expanded: int
    channels: int
    squeeze: bool
    activation: str
    stride: int


class Variant(NamedTuple):
    """`low`: strides of the low-level features by the block whose depthwise output they are."""

    blocks: tuple[Block, ...]
    last: int
    low: dict[str, int]


RE, HS = "relu", "hard_swish"
LARGE = (
    Block(3, 16, 16, False, RE, 1),
    Block(3, 64, 24, False, RE, 2),
    Block(3, 72, 24, False, RE, 1),
    Block(5, 72, 40, True, RE, 2),
    Block(5, 120, 40, True, RE, 1),
    Block(5, 120, 40, True, RE, 1),
    Block(3, 240, 80, False, HS, 2),
    Block(3, 200, 80, False, HS, 1),
    Block(3, 184, 80, False, HS, 1),
    Block(3, 184, 80, False, HS, 1),
    Block(3, 480, 112, True, HS, 1),
    Block(3, 672, 112, True, HS, 1),
    Block(5, 336, 80, True, HS, 2),
    Block(5, 480, 80, True, HS, 1),
    Block(5, 480, 80, True, HS, 1),
)
SMALL = (
    Block(3, 16, 16, True, RE, 2),
    Block(3, 72, 24, False, RE, 2),
    Block(3, 88, 24, False, RE, 1),
    Block(5, 96, 40, True, HS, 2),
    Block(5, 240, 40, True, HS, 1),
    Block(5, 240, 40, True, HS, 1),
    Block(5, 120, 48, True, HS, 1),
    Block(5, 144, 48, True, HS, 1),
    Block(5, 144, 48, True, HS, 2),
    Block(5, 288, 48, True, HS, 1),
    Block(5, 288, 48, True, HS, 1),
)
VARIANTS = {
    "mobilenetv3_large": Variant(LARGE, 480, {"expanded_conv_2": 4, "expanded_conv_5": 8}),
    "mobilenetv3_small": Variant(SMALL, 288, {"expanded_conv": 4, "expanded_conv_2": 8}),
}


def mobilenet_v3(x: Any, config: ModelConfig, variant: Variant) -> Features:
    """`(N, H, W, 3)` -> low at strides 4 and 8, high `(N, H/os, W/os, 480 or 288)` at width 1.

    The low-level features are the depthwise outputs of the last blocks at strides 4 and 8. At
    other widths all channels are rounded to eights; there are no published weights for those.
    """
    multiplier = config.depth_multiplier
    x = preprocess(x, "tf")
    x = conv_bn(
        x,
        _width(16, multiplier),
        3,
        stride=2,
        name=f"{SCOPE}-Conv",
        norm=NORM,
        activation="hard_swish",
    )
    strides = [block.stride for block in variant.blocks]
    schedule = dilation_schedule(strides, config.output_stride, reached=2)
    low = {}
    for i, (block, (stride, rate)) in enumerate(zip(variant.blocks, schedule, strict=True)):
        name = "expanded_conv" + (f"_{i}" if i else "")
        x, depthwise = inverted_residual(
            x,
            _width(block.channels, multiplier),
            expanded=_width(block.expanded, multiplier) if i else None,
            kernel=block.kernel,
            stride=stride,
            rate=rate,
            activation=block.activation,
            squeeze=block.squeeze,
            name=f"{SCOPE}-{name}",
        )
        if name in variant.low:
            low[variant.low[name]] = depthwise
    last = _width(variant.last, multiplier)
    x = conv_bn(x, last, 1, name=f"{SCOPE}-Conv_1", norm=NORM, activation="hard_swish")
    return Features(low, x)


def _width(channels: int, multiplier: float) -> int:
    return channels if multiplier == 1 else round_to(channels * multiplier, 8)


for _name, _variant in VARIANTS.items():
    BACKBONES.register(_name)(functools.partial(mobilenet_v3, variant=_variant))
