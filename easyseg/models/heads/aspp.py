"""Atrous spatial pyramid pooling: convolutions at several rates, and the mean of the image."""

from __future__ import annotations

from typing import Any

from easyseg._keras import layers
from easyseg.models.config import ModelConfig
from easyseg.models.heads.registry import HEADS
from easyseg.models.layers.conv import conv_bn, drop, separable_conv_bn
from easyseg.models.layers.norm import head_norm
from easyseg.models.layers.resize import AlignCornersResize


@HEADS.register("aspp")
def aspp(x: Any, config: ModelConfig) -> Any:
    """`(N, h, w, C)` -> `(N, h, w, head_channels)`.

    Branches are concatenated in the order of Google's graph: image pooling, 1x1, then one 3x3
    per rate; a 1x1 convolution mixes them, followed by one more 3x3 with `aspp_refine`.

    References:
        Chen et al., DeepLabV3, 2017, section 3.3, https://arxiv.org/abs/1706.05587.
    """
    width, norm = config.head_channels, head_norm(config)
    branches = []
    if config.image_pooling:
        pooled = layers.GlobalAveragePooling2D(keepdims=True, name="image_pooling-mean")(x)
        pooled = conv_bn(pooled, width, 1, name="image_pooling", norm=norm)
        branches.append(AlignCornersResize(name="image_pooling-resize")(pooled, x))
    branches.append(conv_bn(x, width, 1, name="aspp0", norm=norm))
    for i, rate in enumerate(config.dilation_rates, start=1):
        branches.append(_conv3x3(x, config, rate=rate, name=f"aspp{i}"))
    if len(branches) == 1:
        x = branches[0]
    else:
        x = layers.Concatenate(name="aspp-concat")(branches)
        x = conv_bn(x, width, 1, name="concat_projection", norm=norm)
        x = drop(x, config, "aspp", name="concat_projection")
    return _conv3x3(x, config, rate=1, name="aspp_refine") if config.aspp_refine else x


def _conv3x3(x: Any, config: ModelConfig, *, rate: int, name: str) -> Any:
    """Separable or plain, of `head_channels`."""
    width, norm = config.head_channels, head_norm(config)
    if config.aspp_separable:
        return separable_conv_bn(x, width, rate=rate, name=name, norm=norm)
    return conv_bn(x, width, 3, rate=rate, name=name, norm=norm)
