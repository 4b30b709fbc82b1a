"""DeepLabV3: no decoder, the logits are those of the head's features."""

from __future__ import annotations

from typing import Any

from easyseg.models.backbones.base import Features
from easyseg.models.config import ModelConfig
from easyseg.models.decoders.registry import DECODERS
from easyseg.models.layers.conv import classify


@DECODERS.register("none")
def no_decoder(x: Any, features: Features, config: ModelConfig) -> Any:  # noqa: ARG001
    """`(N, h, w, C)` -> logits `(N, h, w, num_classes)`."""
    return classify(x, config)
