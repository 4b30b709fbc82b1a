"""The decoder of DeepLabV3+: sharp borders from a low-level feature."""

from __future__ import annotations

from typing import Any

from easyseg._keras import layers
from easyseg.config import ModelConfig
from easyseg.models.aspp import HEAD_NORM
from easyseg.models.blocks import conv_bn, separable_conv_bn
from easyseg.models.resize import AlignCornersResize

__all__ = ["decode"]


def decode(x: Any, low: Any, config: ModelConfig) -> Any:
    """`(N, h, w, C)`, `(N, H/4, W/4, D)` -> `(N, H/4, W/4, head_channels)`.

    References:
        Chen et al., DeepLabV3+, ECCV 2018, section 3.1, https://arxiv.org/abs/1802.02611.
    """
    low = conv_bn(
        low, config.low_level_channels, 1, name="decoder-feature_projection0", norm=HEAD_NORM
    )
    x = AlignCornersResize(name="decoder-resize")(x, low)
    x = layers.Concatenate(name="decoder-concat")([x, low])
    for i in range(2):
        name = f"decoder-decoder_conv{i}"
        if config.decoder_separable:
            x = separable_conv_bn(x, config.head_channels, name=name, norm=HEAD_NORM)
        else:
            x = conv_bn(x, config.head_channels, 3, name=name, norm=HEAD_NORM)
    return x
