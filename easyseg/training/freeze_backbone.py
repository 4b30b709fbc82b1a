"""Which layers belong to the backbone, and leaving them as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from easyseg._keras import keras, layers, ops
from easyseg.models.backbones.custom_keras import backbone_of
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import KerasHubConfig

__all__ = ["backbone_layers", "is_random", "set_frozen"]

HUB_ENCODER = "encoder-"  # what the names of a hub: network's backbone begin with


def backbone_layers(network: Any, config: ModelConfig | KerasHubConfig) -> set[str]:
    """Names of the layers that make a network's features, before head and decoder."""
    if isinstance(config, KerasHubConfig):
        return {layer.name for layer in network.layers if layer.name.startswith(HUB_ENCODER)}
    image = keras.Input((None, None, 3))
    features = backbone_of(config)(image, config)
    model = keras.Model(image, [features.high, *features.low.values()])
    return {layer.name for layer in model.layers if layer.weights}


def is_random(network: Any, config: ModelConfig | KerasHubConfig) -> bool:
    """Whether a network's backbone was never trained.

    Biases, scales, offsets and statistics begin as one number throughout; a step of training parts
    them.
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
    """Leaves the backbone as it is in training, its batch norms' statistics included, or not."""
    names = backbone_layers(network, config)
    for layer in network.layers:
        if layer.name in names:
            layer.trainable = not frozen
