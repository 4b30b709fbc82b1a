"""What every backbone, head and decoder must do together; a new entry needs no new test."""

from __future__ import annotations

import importlib
import pkgutil

import keras
import numpy as np
import pytest
from helpers.tiny_backbone import register_tiny

import easyseg.models.backbones
from easyseg import LabelSet, ModelConfig, build_model
from easyseg.models.backbones.registry import BACKBONES, SPEC_OF, BackboneSpec
from easyseg.models.build import logits_model
from easyseg.models.decoders.registry import DECODERS
from easyseg.models.heads.registry import HEADS
from easyseg.weights.bundle import read_bundle, save_bundle
from easyseg.weights.readers import load_weights
from easyseg.weights.variable_names import named_variables

QUICK = {  # small ones; golden files hold the rest too, which is slow
    "mobilenetv2-deeplabv3plus",
    "lraspp-lraspp",
}
SMALL = ModelConfig(
    backbone="mobilenetv2",
    num_classes=3,
    head_channels=8,
    depth_multiplier=0.25,
    input_size=(65, 65),
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


def spec(name):
    """The spec of a backbone; all is possible for one of another package."""
    return SPEC_OF.get(name, BackboneSpec((name,)))


def strides(name):
    """The output strides at which a backbone is tested: 16 and 8, or its only one."""
    possible = spec(name).output_strides
    return [stride for stride in (16, 8) if stride in possible] or list(possible)


def networks():
    for name in BACKBONES:
        for decoder in ("deeplabv3plus", "none"):
            if decoder != "none" and not spec(name).skips:
                continue  # refused: tests/models/test_hrnet.py
            config = SMALL.replace(
                backbone=name,
                depth_multiplier=1.0,
                decoder=decoder,
                output_stride=strides(name)[0],
            )
            marks = [] if f"{name}-{decoder}" in QUICK else [pytest.mark.slow]
            yield pytest.param(config, id=f"{name}-{decoder}", marks=marks)
    for head in HEADS:
        for decoder in DECODERS:
            marks = [] if f"{head}-{decoder}" in QUICK else [pytest.mark.slow]
            config = SMALL.replace(head=head, decoder=decoder)
            yield pytest.param(config, id=f"{head}-{decoder}", marks=marks)


def train(model):
    """One step of training; every trainable weight has a gradient."""
    import tensorflow as tf

    images = np.random.default_rng(0).integers(0, 256, (2, 65, 65, 3), np.uint8)
    labels = np.random.default_rng(1).integers(0, 3, (2, 65, 65))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        value = loss(labels, model(images, training=True))
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
    """At each output stride it trains, is saved and opens; the same weights serve them all."""
    image = np.random.default_rng(2).integers(0, 256, (1, 65, 65, 3), np.uint8)
    opened, weights = [], None
    for output_stride in strides(config.backbone):
        at = config.replace(output_stride=output_stride)
        model = build_model(at)
        assert len(named_variables(model)) == len(model.weights)
        if weights is not None:
            load_weights(model, weights, "bundle")  # from the other output stride
        train(model)
        bundle = read_bundle(save_bundle(tmp_path / f"at {output_stride}", model, at, LABELS))
        assert bundle.config == at
        again = build_model(bundle.config)
        load_weights(again, bundle.weights, "bundle")
        np.testing.assert_array_equal(again(image), model(image))
        assert np.isfinite(again(image)).all()
        side = 1 + 64 // (1 if at.upsampling == "learned" else at.logits_stride)
        assert logits_model(again)(image).shape == (1, side, side, 3)
        opened.append(again)
        weights = bundle.weights
    first, last = opened[0], opened[-1]
    load_weights(first, weights, "bundle")  # and back
    for ours, theirs in zip(first.weights, last.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "mobilenetv2" else [pytest.mark.slow])
        for name in BACKBONES
    ],
)
def test_low_level_features(name):
    """They have the strides of the spec, at every output stride."""
    found = []
    for output_stride in spec(name).output_strides:
        image = keras.Input((65, 65, 3))
        config = ModelConfig(name, output_stride=output_stride, decoder="none")
        low, high = BACKBONES[name](image, config)
        assert high.shape[1] == 64 // output_stride + 1
        sides = {stride: 64 // stride + 1 for stride in spec(name).skips}
        assert {stride: x.shape[1] for stride, x in low.items()} == sides
        found.append({stride: x.shape for stride, x in low.items()})
    assert all(shapes == found[0] for shapes in found)


def test_a_config_knows_every_backbone():
    """The registry names every backbone, so that a config is checked without Keras."""
    for module in pkgutil.iter_modules(easyseg.models.backbones.__path__):
        importlib.import_module(f"easyseg.models.backbones.{module.name}")
    tests_own = {"squares", "tiny"}  # of tests/helpers
    assert set(BACKBONES._entries) - tests_own == set(BACKBONES._modules)
