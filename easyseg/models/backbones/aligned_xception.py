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
from easyseg.models.backbones.base import Features
from easyseg.models.backbones.dilation import dilation_schedule
from easyseg.models.backbones.normalization import preprocess
from easyseg.models.backbones.registry import BACKBONES
from easyseg.models.config import ModelConfig
from easyseg.models.layers.conv import activate, conv_bn, separable_conv_bn
from easyseg.models.layers.norm import BatchNorm

NORM = BatchNorm(epsilon=1e-3, momentum=0.9997)


class Block(NamedTuple):
    """`units` equal modules of three separable convolutions; the last one of a unit strides."""

    name: str
    depths: tuple[int, int, int]
    stride: int
    shortcut: str | None  # "conv", "sum" or None
    units: int = 1
    preactivation: bool = True  # ReLU before each convolution instead of after


class Variant(NamedTuple):
    """`low`: strides of the low-level features by the block whose second convolution they are."""

    scope: str
    blocks: tuple[Block, ...]
    low: dict[str, int]


def _entry(*blocks: tuple[int, int]) -> tuple[Block, ...]:
    """Blocks of `(depth, stride)`."""
    return tuple(
        Block(f"entry_flow-block{i}", (depth, depth, depth), stride, "conv")
        for i, (depth, stride) in enumerate(blocks, start=1)
    )


def _middle(units: int) -> Block:
    return Block("middle_flow-block1", (728, 728, 728), 1, "sum", units=units)


ENTRY = _entry((128, 2), (256, 2), (728, 2))
ENTRY_71 = _entry((128, 2), (256, 1), (256, 2), (728, 1), (728, 2))
EXIT = (
    Block("exit_flow-block1", (728, 1024, 1024), 2, "conv"),
    Block("exit_flow-block2", (1536, 1536, 2048), 1, None, preactivation=False),
)
LOW = {"entry_flow-block2": 4, "entry_flow-block3": 8}
LOW_71 = {"entry_flow-block3": 4, "entry_flow-block5": 8}
VARIANTS = {
    "xception41": Variant("xception_41", (*ENTRY, _middle(8), *EXIT), LOW),
    "xception65": Variant("xception_65", (*ENTRY, _middle(16), *EXIT), LOW),
    "xception71": Variant("xception_71", (*ENTRY_71, _middle(16), *EXIT), LOW_71),
}


def aligned_xception(x: Any, config: ModelConfig, variant: Variant) -> Features:
    """`(N, H, W, 3)` -> low at strides 4 and 8, high `(N, H/os, W/os, 2048)`.

    The low-level features, of 256 and 728 channels, are taken before any activation.
    """
    scope, blocks = variant.scope, variant.blocks
    x = preprocess(x, "tf")
    x = conv_bn(
        x, 32, 3, stride=2, name=f"{scope}-entry_flow-conv1_1", norm=NORM, explicit_padding=True
    )
    x = conv_bn(x, 64, 3, name=f"{scope}-entry_flow-conv1_2", norm=NORM)

    schedule = dilation_schedule([b.stride for b in blocks], config.output_stride, reached=2)
    low = {}
    for block, (stride, rate) in zip(blocks, schedule, strict=True):
        for unit in range(1, block.units + 1):
            name = f"{scope}-{block.name}-unit_{unit}-xception_module"
            x, second = _xception_module(x, block, stride=stride, rate=rate, name=name)
        if block.name in variant.low:
            low[variant.low[block.name]] = second
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


for _name, _variant in VARIANTS.items():
    BACKBONES.register(_name)(functools.partial(aligned_xception, variant=_variant))
