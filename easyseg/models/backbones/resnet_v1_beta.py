"""ResNet-v1-beta, the residual networks of the DeepLab papers.

Unlike the original ResNet they start with three 3x3 convolutions instead of one 7x7, and a block
strides in its last unit instead of its first.

References:
    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, table 1,
    https://arxiv.org/abs/1512.03385.
    Chen et al., DeepLabV3, 2017, sections 3.1 and 3.2.1 (multi-grid),
    https://arxiv.org/abs/1706.05587.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from easyseg._keras import layers
from easyseg.models.backbones.base import Features
from easyseg.models.backbones.dilation import dilation_schedule
from easyseg.models.backbones.normalization import preprocess
from easyseg.models.backbones.registry import BACKBONES
from easyseg.models.config import ModelConfig
from easyseg.models.layers.conv import activate, conv_bn
from easyseg.models.layers.norm import BatchNorm

NORM = BatchNorm(epsilon=1e-5, momentum=0.95)
MULTI_GRID = (1, 2, 4)  # further dilation of the units of the last block


class Block(NamedTuple):
    """`units` bottlenecks of `width` channels, four times as many at the end; the last strides."""

    width: int
    units: int
    stride: int = 2


VARIANTS = {
    "resnet50_beta": (
        "resnet_v1_50",
        (Block(64, 3), Block(128, 4), Block(256, 6), Block(512, 3, stride=1)),
    ),
    "resnet101_beta": (
        "resnet_v1_101",
        (Block(64, 3), Block(128, 4), Block(256, 23), Block(512, 3, stride=1)),
    ),
}
LOW_LEVEL = {"block1-unit_2": 4, "block2-unit_3": 8}


def resnet_beta(x: Any, config: ModelConfig, *, scope: str, blocks: tuple[Block, ...]) -> Features:
    """`(N, H, W, 3)` -> low at strides 4 and 8, high `(N, H/os, W/os, 2048)`.

    The low-level features, of 256 and 512 channels, are those of the last bottleneck before the
    stride, without its shortcut.
    """
    x = preprocess(x, "tf")
    for i, (channels, stride) in enumerate(((64, 2), (64, 1), (128, 1)), start=1):
        name = f"{scope}-conv1_{i}"
        x = conv_bn(x, channels, 3, stride=stride, name=name, norm=NORM, explicit_padding=True)
    x = layers.MaxPooling2D(3, 2, padding="same", name=f"{scope}-pool1")(x)

    units = [
        (f"block{b}-unit_{u}", block.width, block.stride if u == block.units else 1)
        for b, block in enumerate(blocks, start=1)
        for u in range(1, block.units + 1)
    ]
    grid = [1] * (len(units) - len(MULTI_GRID)) + list(MULTI_GRID)
    schedule = dilation_schedule([u[2] for u in units], config.output_stride, reached=4)
    low = {}
    for (unit, width, _), (stride, rate), spread in zip(units, schedule, grid, strict=True):
        name = f"{scope}-{unit}-bottleneck_v1"
        x, residual = _bottleneck(x, width, stride=stride, rate=rate * spread, name=name)
        if unit in LOW_LEVEL:
            low[LOW_LEVEL[unit]] = residual
    return Features(low, x)


def _bottleneck(x: Any, width: int, *, stride: int, rate: int, name: str) -> tuple[Any, Any]:
    """1x1, 3x3, 1x1 and a shortcut; also returns what is added to the shortcut."""
    channels = 4 * width
    if x.shape[-1] != channels:
        shortcut = conv_bn(
            x, channels, 1, stride=stride, name=f"{name}-shortcut", norm=NORM, activation=None
        )
    elif stride > 1:
        shortcut = layers.MaxPooling2D(1, stride, name=f"{name}-shortcut")(x)
    else:
        shortcut = x
    x = conv_bn(x, width, 1, name=f"{name}-conv1", norm=NORM)
    x = conv_bn(
        x,
        width,
        3,
        stride=stride,
        rate=rate,
        name=f"{name}-conv2",
        norm=NORM,
        explicit_padding=True,
    )
    residual = conv_bn(x, channels, 1, name=f"{name}-conv3", norm=NORM, activation=None)
    x = layers.Add(name=f"{name}-add")([shortcut, residual])
    return activate(x, "relu", name), residual


for _name, (_scope, _blocks) in VARIANTS.items():
    BACKBONES.register(_name)(functools.partial(resnet_beta, scope=_scope, blocks=_blocks))
