"""Atrous spatial pyramid pooling: one feature seen at several rates, and the image as a whole."""

from __future__ import annotations

from typing import Any

from easyseg._keras import layers
from easyseg.config import ModelConfig
from easyseg.models.blocks import Norm, conv_bn, separable_conv_bn
from easyseg.models.resize import AlignCornersResize

__all__ = ["HEAD_NORM", "aspp"]

HEAD_NORM = Norm(epsilon=1e-5, momentum=0.9997)


def aspp(x: Any, config: ModelConfig) -> Any:
    """`(N, h, w, C)` -> `(N, h, w, head_channels)`.

    Branches are concatenated in the order of Google's graph: image pooling, 1x1, then one 3x3
    per rate; a 1x1 convolution mixes them.

    References:
        Chen et al., DeepLabV3, 2017, section 3.3, https://arxiv.org/abs/1706.05587.
    """
    width = config.head_channels
    branches = []
    if config.image_pooling:
        pooled = layers.GlobalAveragePooling2D(keepdims=True, name="image_pooling-mean")(x)
        pooled = conv_bn(pooled, width, 1, name="image_pooling", norm=HEAD_NORM)
        branches.append(AlignCornersResize(name="image_pooling-resize")(pooled, x))
    branches.append(conv_bn(x, width, 1, name="aspp0", norm=HEAD_NORM))
    for i, rate in enumerate(config.dilation_rates, start=1):
        if config.aspp_separable:
            branch = separable_conv_bn(x, width, rate=rate, name=f"aspp{i}", norm=HEAD_NORM)
        else:
            branch = conv_bn(x, width, 3, rate=rate, name=f"aspp{i}", norm=HEAD_NORM)
        branches.append(branch)
    if len(branches) == 1:
        return branches[0]
    x = layers.Concatenate(name="aspp-concat")(branches)
    x = conv_bn(x, width, 1, name="concat_projection", norm=HEAD_NORM)
    return layers.Dropout(config.dropout, name="concat_projection-dropout")(x)
