"""Aligned Xception, the backbone of DeepLabV3+.

References:
    Chen et al., DeepLabV3+, ECCV 2018, figure 4, https://arxiv.org/abs/1802.02611.
    Qi et al., "Deformable Convolutional Networks: COCO Detection and Segmentation
    Challenge 2017 Entry".
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from easyseg._keras import layers
from easyseg.config import ModelConfig
from easyseg.errors import ConfigError
from easyseg.models.backbones.table import BACKBONES, Features
from easyseg.models.blocks import Norm, activate, conv_bn, separable_conv_bn
from easyseg.models.strides import atrous_schedule

NORM = Norm(epsilon=1e-3, momentum=0.9997)


class Block(NamedTuple):
    """`units` equal modules of three separable convolutions; the last one of a unit strides."""

    name: str
    depths: tuple[int, int, int]
    stride: int
    shortcut: str | None  # "conv", "sum" or None
    units: int = 1
    preactivation: bool = True  # ReLU before each convolution instead of after


ENTRY = (
    Block("entry_flow-block1", (128, 128, 128), 2, "conv"),
    Block("entry_flow-block2", (256, 256, 256), 2, "conv"),
    Block("entry_flow-block3", (728, 728, 728), 2, "conv"),
)
EXIT = (
    Block("exit_flow-block1", (728, 1024, 1024), 2, "conv"),
    Block("exit_flow-block2", (1536, 1536, 2048), 1, None, preactivation=False),
)


def _blocks(middle_units: int) -> tuple[Block, ...]:
    middle = Block("middle_flow-block1", (728, 728, 728), 1, "sum", units=middle_units)
    return (*ENTRY, middle, *EXIT)


VARIANTS = {
    "xception41": ("xception_41", _blocks(middle_units=8)),
    "xception65": ("xception_65", _blocks(middle_units=16)),
}
LOW_LEVEL = "entry_flow-block2"


def aligned_xception(
    x: Any, config: ModelConfig, *, scope: str, blocks: tuple[Block, ...]
) -> Features:
    """`(N, H, W, 3)` -> low `(N, H/4, W/4, 256)`, high `(N, H/os, W/os, 2048)`.

    The low-level feature is the second convolution of entry block 2, before any activation.
    """
    if config.depth_multiplier != 1:
        raise ConfigError(
            f"depth_multiplier={config.depth_multiplier!r} is for MobileNet backbones; "
            f"{config.backbone} has one width, 1.0."
        )
    x = conv_bn(
        x, 32, 3, stride=2, name=f"{scope}-entry_flow-conv1_1", norm=NORM, explicit_padding=True
    )
    x = conv_bn(x, 64, 3, name=f"{scope}-entry_flow-conv1_2", norm=NORM)

    schedule = atrous_schedule([b.stride for b in blocks], config.output_stride, reached=2)
    low = None
    for block, (stride, rate) in zip(blocks, schedule, strict=True):
        for unit in range(1, block.units + 1):
            name = f"{scope}-{block.name}-unit_{unit}-xception_module"
            x, second = _xception_module(x, block, stride=stride, rate=rate, name=name)
        if block.name == LOW_LEVEL:
            low = second
    return Features(low, x)


def _xception_module(x: Any, block: Block, *, stride: int, rate: int, name: str) -> tuple[Any, Any]:
    """Three separable convolutions and a shortcut; also returns the second one's output."""
    residual, outputs = x, []
    for i, depth in enumerate(block.depths, start=1):
        conv = f"{name}-separable_conv{i}"
        if block.preactivation:
            x = activate(x, "relu", conv)
        x = separable_conv_bn(
            x,
            depth,
            name=conv,
            norm=NORM,
            stride=stride if i == 3 else 1,
            rate=rate,
            activation=None if block.preactivation else "relu",
            explicit_padding=True,
        )
        outputs.append(x)
    if block.shortcut == "conv":
        residual = conv_bn(
            residual,
            block.depths[-1],
            1,
            stride=stride,
            name=f"{name}-shortcut",
            norm=NORM,
            activation=None,
        )
    if block.shortcut:
        x = layers.Add(name=f"{name}-add")([x, residual])
    return x, outputs[1]


for _name, (_scope, _variant) in VARIANTS.items():
    BACKBONES.register(_name)(functools.partial(aligned_xception, scope=_scope, blocks=_variant))
