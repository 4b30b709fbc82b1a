"""Which layers belong to the backbone, and freezing them."""

from __future__ import annotations

from typing import Any

import numpy as np

from easyseg._keras import keras, layers, ops
from easyseg.models.backbones.custom_keras import backbone_of
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import KerasHubConfig

HUB_ENCODER = "encoder-"  # prefix of a KerasHub network's backbone


def backbone_layers(network: Any, config: ModelConfig | KerasHubConfig) -> set[str]:
    """Names of the backbone's layers."""
    if isinstance(config, KerasHubConfig):
        return {layer.name for layer in network.layers if layer.name.startswith(HUB_ENCODER)}
    image = keras.Input((None, None, 3))
    features = backbone_of(config)(image, config)
    model = keras.Model(image, [features.high, *features.low.values()])
    return {layer.name for layer in model.layers if layer.weights}


def is_random(network: Any, config: ModelConfig | KerasHubConfig) -> bool:
    """Whether a network's backbone was never trained.

    Biases, scales, offsets and statistics are constant until the first step of training.
    """
    names = backbone_layers(network, config)
    vectors = [
        ops.convert_to_numpy(weight)
        for layer in network.layers
        if layer.name in names and not isinstance(layer, layers.Normalization)
        for weight in layer.weights
        if len(weight.shape) == 1
    ]
    return bool(vectors) and all(np.ptp(vector) == 0 for vector in vectors)


def set_frozen(network: Any, config: ModelConfig | KerasHubConfig, *, frozen: bool) -> None:
    """Freezes the backbone, statistics of its batch norms included, or makes it trainable."""
    names = backbone_layers(network, config)
    for layer in network.layers:
        if layer.name in names:
            layer.trainable = not frozen
