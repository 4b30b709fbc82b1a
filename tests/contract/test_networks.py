"""What every backbone, head and decoder must do together; a new row needs no new test."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import pytest

import easyseg.models.backbones
from easyseg import LabelSet, ModelConfig, build_model
from easyseg.config import DECODERS, HEADS
from easyseg.models.backbones import BACKBONES
from easyseg.models.build import logits_model
from easyseg.weights.bundle import read_bundle, save_bundle
from easyseg.weights.load import load_weights
from easyseg.weights.names import named_variables

QUICK = {  # one of each family; the rest is slow
    "xception41-deeplabv3plus",
    "resnet50_beta-none",
    "mobilenetv2-deeplabv3plus",
    "mobilenetv2-none",
    "mobilenetv3_small-deeplabv3plus",
    "mobilenetv3_large-none",
    "keras_mobilenetv2-deeplabv3plus",
}
SMALL = ModelConfig(
    backbone="mobilenetv2", classes=3, head_channels=8, depth_multiplier=0.25, input_size=(65, 65)
)
LABELS = LabelSet("three", ("a", "b", "c"), ((0, 0, 0), (9, 0, 0), (0, 9, 0)))
STRIDES = {"deeplabv3plus": 4, "lraspp": 8, "none": None}  # of the logits; None: output stride


def networks():
    for name in BACKBONES:
        if name.startswith("hrnet"):
            continue  # one output stride, no decoder: tests/models/test_hrnet.py
        for decoder in ("deeplabv3plus", "none"):
            config = SMALL.replace(backbone=name, depth_multiplier=1.0, decoder=decoder)
            marks = [] if f"{name}-{decoder}" in QUICK else [pytest.mark.slow]
            yield pytest.param(config, id=f"{name}-{decoder}", marks=marks)
    for head in HEADS:
        for decoder in DECODERS:
            yield pytest.param(SMALL.replace(head=head, decoder=decoder), id=f"{head}-{decoder}")


def train(model):
    """One step of training; every trainable weight has its share in it."""
    import keras
    import tensorflow as tf

    pictures = np.random.default_rng(0).integers(0, 256, (2, 65, 65, 3), np.uint8)
    labels = np.random.default_rng(1).integers(0, 3, (2, 65, 65))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        value = loss(labels, model(pictures, training=True))
    gradients = tape.gradient(value, model.trainable_variables)
    for gradient, variable in zip(gradients, model.trainable_variables, strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all(), variable.path
    keras.optimizers.SGD(0.01).apply(gradients, model.trainable_variables)


@pytest.mark.parametrize("config", list(networks()))
def test_network(config, tmp_path):
    """It trains, is saved, and its weights serve every output stride."""
    picture = np.random.default_rng(2).integers(0, 256, (1, 65, 65, 3), np.uint8)
    model = build_model(config)
    assert len(named_variables(model)) == len(model.weights)
    train(model)
    folder = save_bundle(tmp_path / "net", model, config, LABELS)
    bundle = read_bundle(folder)
    assert bundle.config == config
    again = build_model(bundle.config)
    load_weights(again, bundle.weights, "bundle")
    np.testing.assert_array_equal(again(picture), model(picture))

    finer = config.replace(output_stride=8)
    model = build_model(finer)
    load_weights(model, bundle.weights, "bundle")
    side = 64 // (STRIDES[config.decoder] or 8) + 1
    assert logits_model(model)(picture).shape == (1, side, side, 3)
    assert np.isfinite(model(picture)).all()
    train(model)


def test_a_config_knows_every_backbone():
    """A row of a family stands in easyseg.config too, where a config is checked."""
    for module in pkgutil.iter_modules(easyseg.models.backbones.__path__):
        importlib.import_module(f"easyseg.models.backbones.{module.name}")
    assert set(BACKBONES._rows) == set(BACKBONES._modules)
