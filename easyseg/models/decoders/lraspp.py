"""The decoder of LR-ASPP: logits of the head and of a low-level feature, added.

References:
    Howard et al., "Searching for MobileNetV3", ICCV 2019, section 6.4 and figure 10,
    https://arxiv.org/abs/1905.02244.
"""

from __future__ import annotations

from typing import Any

from easyseg._keras import layers
from easyseg.models.backbones.base import Features
from easyseg.models.config import ModelConfig
from easyseg.models.decoders.registry import DECODERS
from easyseg.models.layers.conv import LOGITS
from easyseg.models.layers.resize import AlignCornersResize


@DECODERS.register("lraspp")
def sum_of_logits(x: Any, features: Features, config: ModelConfig) -> Any:
    """`(N, h, w, C)` and the feature at stride 8 -> logits `(N, H/8, W/8, num_classes)`."""
    low = features.low_level(8, config)
    low = layers.Conv2D(config.num_classes, 1, name="decoder-feature_projection0", dtype="float32")(
        low
    )
    x = AlignCornersResize(name="decoder-resize")(x, low)
    x = layers.Conv2D(config.num_classes, 1, name="decoder-decoder_conv0", dtype="float32")(x)
    return layers.Add(name=LOGITS, dtype="float32")([x, low])
