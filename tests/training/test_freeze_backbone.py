import numpy as np
import pytest
from helpers.square_dataset import CONFIG

from easyseg._keras import layers
from easyseg.models.backbones.base import Features
from easyseg.models.backbones.normalization import preprocess
from easyseg.models.backbones.registry import BACKBONES
from easyseg.models.build import build_model
from easyseg.training.freeze_backbone import is_random


def bare(x, config):
    """Layer norms and biases alone, as ConvNeXt has."""
    x = preprocess(x, "tf")
    low = layers.Conv2D(8, 3, strides=4, padding="same", name="bare1")(x)
    low = layers.LayerNormalization(name="bare_norm")(low)
    return Features({4: low}, layers.Conv2D(16, 3, strides=2, padding="same", name="bare2")(low))


@pytest.mark.parametrize("backbone", ["squares", "bare"])
def test_one_step_of_training_ends_being_random(backbone, monkeypatch):
    monkeypatch.setitem(BACKBONES._entries, "bare", bare)
    config = CONFIG.replace(backbone=backbone)
    network = build_model(config)
    assert is_random(network, config)
    network.compile("sgd", "mse", jit_compile=False)
    images = np.random.default_rng(0).uniform(0, 255, (2, 65, 65, 3)).astype(np.float32)
    network.train_on_batch(images, np.ones((2, 65, 65, 2), np.float32))
    assert not is_random(network, config)
