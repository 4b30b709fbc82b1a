"""The decoder of DeepLabV3+: sharp boundaries from low-level features."""

from __future__ import annotations

from typing import Any

from easyseg._keras import layers
from easyseg.models.backbones.base import Features
from easyseg.models.config import ModelConfig
from easyseg.models.decoders.registry import DECODERS
from easyseg.models.layers.attention import attend
from easyseg.models.layers.conv import classify, conv_bn, drop, separable_conv_bn
from easyseg.models.layers.learned_upsampling import LearnedUpsampling
from easyseg.models.layers.norm import head_norm
from easyseg.models.layers.resize import AlignCornersResize

LAST = 4  # stride of the last skip, and so of the logits


@DECODERS.register("deeplabv3plus")
def deeplabv3plus(x: Any, features: Features, config: ModelConfig) -> Any:
    """`(N, h, w, C)` and the features of `config.skips` -> logits `(N, H/4, W/4, num_classes)`.

    References:
        Chen et al., DeepLabV3+, ECCV 2018, section 3.1, https://arxiv.org/abs/1802.02611.
        With skips at strides 8 and 4: Cheng et al., "Panoptic-DeepLab", CVPR 2020, section 3.1,
        https://arxiv.org/abs/1911.10194.
    """
    stride = config.output_stride
    for skip in sorted(config.skips, reverse=True):
        scope = "decoder" if skip == LAST else f"decoder-stride{skip}"
        if config.upsampling == "learned" and skip == LAST:
            x = LearnedUpsampling(stride // skip, name=f"{scope}-upsample")(x)
        x = _fuse(x, features.low_level(skip, config), config, scope)
        stride = skip
    return classify(attend(x, config, "decoder"), config)


def _fuse(x: Any, low: Any, config: ModelConfig, scope: str) -> Any:
    """Concatenates `x`, enlarged, with a narrow projection of the low-level feature; two 3x3s."""
    norm, width, name = head_norm(config), config.head_channels, f"{scope}-feature_projection0"
    low = conv_bn(low, config.low_level_channels, 1, name=name, norm=norm)
    low = drop(low, config, "low_level", name=name)
    x = AlignCornersResize(name=f"{scope}-resize")(x, low)
    x = layers.Concatenate(name=f"{scope}-concat")([x, low])
    for i in range(2):
        name = f"{scope}-decoder_conv{i}"
        if config.decoder_separable:
            x = separable_conv_bn(x, width, name=name, norm=norm)
        else:
            x = conv_bn(x, width, 3, name=name, norm=norm)
        x = drop(x, config, "decoder", name=name)
    return x
