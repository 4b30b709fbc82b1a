"""What every backbone, head and decoder must do together; a new row needs no new test."""

from __future__ import annotations

import importlib
import pkgutil

import keras
import numpy as np
import pytest
from tiny import register_tiny

import easyseg.models.backbones
from easyseg import LabelSet, ModelConfig, build_model
from easyseg.config import DECODERS, HEADS
from easyseg.models.backbones import BACKBONES
from easyseg.models.build import logits_model
from easyseg.weights.bundle import read_bundle, save_bundle
from easyseg.weights.load import load_weights
from easyseg.weights.names import named_variables

QUICK = {  # small ones; golden files hold the rest too, which is slow
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
BOTH, PLAIN = ("aspp", "decoder"), {"decoder": "none"}
EVERYWHERE = {"backbone": 0.1, "aspp": 0.1, "low_level": 0.1, "decoder": 0.1, "logits": 0.1}
VARIANTS = [  # each choice that is not the default, alone or with others; the first are quick
    {"attention": "se", "attention_at": BOTH, "aspp_refine": True, "norm": "group"},
    {"attention": "cbam", "attention_at": ("decoder",), "skips": (4, 8), "dropout": EVERYWHERE},
    {**PLAIN, "attention": "spatial", "upsampling": "learned", "aspp_rates": (2, 4, 6, 8)},
    {"upsampling": "learned", "skips": (4, 8), "decoder_separable": False},
    {**PLAIN, "aspp_refine": True, "aspp_separable": False, "aspp_rates": (12,), "norm": "group"},
    {"decoder": "lraspp", "upsampling": "learned", "attention": "cbam"},
    {"head": "dpc", "attention": "se", "attention_at": BOTH, "norm": "group", "skips": (4, 8)},
    {"head": "lraspp", "decoder": "lraspp", "norm": "group", "dropout": {"backbone": 0.2}},
]
QUICK_VARIANTS = 4


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
    check(config, tmp_path)


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(v, id="-".join(v), marks=[] if i < QUICK_VARIANTS else [pytest.mark.slow])
        for i, v in enumerate(VARIANTS)
    ],
)
def test_variant(variant, tmp_path, monkeypatch):
    register_tiny(monkeypatch)
    check(SMALL.replace(backbone="tiny", **variant), tmp_path)


def check(config, tmp_path):
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
    side = 1 + 64 // (1 if config.upsampling == "learned" else finer.logits_stride)
    assert logits_model(model)(picture).shape == (1, side, side, 3)
    assert np.isfinite(model(picture)).all()
    train(model)
    back = read_bundle(save_bundle(tmp_path / "finer", model, finer, LABELS))
    load_weights(again, back.weights, "bundle")  # from output stride 8 to that of the config
    for ours, theirs in zip(again.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "mobilenetv2" else [pytest.mark.slow])
        for name in BACKBONES
        if not name.startswith("hrnet")
    ],
)
def test_low_level_features(name):
    """They lie at strides 4 and 8, and are the same at every output stride."""
    found = []
    for output_stride in (8, 16, 32):
        image = keras.Input((65, 65, 3))
        config = ModelConfig(name, output_stride=output_stride)
        low, high = BACKBONES[name](image, config)
        assert high.shape[1] == 64 // output_stride + 1
        assert {stride: x.shape[1] for stride, x in low.items()} == {4: 17, 8: 9}
        found.append({stride: x.shape for stride, x in low.items()})
    assert found[0] == found[1] == found[2]


def test_a_config_knows_every_backbone():
    """A row of a family stands in easyseg.families too, where a config is checked."""
    for module in pkgutil.iter_modules(easyseg.models.backbones.__path__):
        importlib.import_module(f"easyseg.models.backbones.{module.name}")
    tests_own = {"tiny"}  # registered by tests/training/squares.py
    assert set(BACKBONES._rows) - tests_own == set(BACKBONES._modules)
