"""The layer that gives a network's logits."""

from __future__ import annotations

from typing import Any

from easyseg._keras import layers
from easyseg.models.config import ModelConfig
from easyseg.models.layers.conv import drop

__all__ = ["LOGITS", "classify"]

LOGITS = "logits-semantic"  # its name in Google's checkpoints, by which `logits_model` finds it


def classify(x: Any, config: ModelConfig) -> Any:
    """`(N, h, w, C)` -> logits `(N, h, w, num_classes)` float32, by a 1x1 convolution."""
    x = drop(x, config, "logits", name="logits")
    return layers.Conv2D(config.num_classes, 1, name=LOGITS, dtype="float32")(x)
