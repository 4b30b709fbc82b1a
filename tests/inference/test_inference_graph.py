"""A folded network says what it said before."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers.tiny_network import CLASSES, tiny_model

from easyseg import ModelConfig, build_model
from easyseg.inference.runtimes.fold_batch_norm import fold_batch_norms, with_dtype
from easyseg.inference.runtimes.inference_graph import for_inference
from easyseg.inference.runtimes.pooled import pool_once
from easyseg.inference.runtimes.resizing import Resize, resize_at_once
from easyseg.inference.tta import multi_scale
from easyseg.models.build import logits_model
from easyseg.models.summary import count


def picture():
    return np.random.default_rng(0).integers(0, 256, (1, 65, 65, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    return logits_model(tiny_model())


def norms(model):
    return sum(type(layer).__name__ == "BatchNormalization" for layer in model.layers)


def test_all_batch_norms_are_folded(network):
    before = [np.array(w) for w in network.get_weights()]
    folded = fold_batch_norms(network)
    expected = np.asarray(network(picture()))
    found = np.asarray(folded(picture()))
    assert (norms(network), norms(folded)) == (4, 0)
    assert np.ptp(expected) > 0.01
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    for weight, old in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_a_batch_norm_that_is_not_alone_after_a_convolution_stays():
    image = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization()(image)
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    y = keras.layers.BatchNormalization()(x)
    y = keras.layers.Conv2D(4, 1)(y)
    z = keras.layers.BatchNormalization()(y)
    model = keras.Model(image, keras.layers.Add()([y, z]))
    for variable in model.non_trainable_weights:
        variable.assign(np.linspace(0.2, 0.9, variable.shape[0]))
    inputs = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
    folded = fold_batch_norms(model)
    assert norms(folded) == 3
    np.testing.assert_allclose(folded(inputs), model(inputs), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["xception65", "mobilenetv2", "mobilenetv3_small"])
def test_our_networks_keep_no_batch_norm(backbone):
    config = ModelConfig(backbone=backbone, num_classes=3)
    model = logits_model(build_model(config))
    folded = fold_batch_norms(model)
    assert norms(model) > 30
    assert norms(folded) == 0
    expected = np.asarray(model(picture()))
    assert np.abs(np.asarray(folded(picture())) - expected).max() <= 1e-4 * np.abs(expected).max()


def test_nested_networks_are_folded(network):
    wrapped = multi_scale(network, (65, 65), (0.5, 1.0), flip=True, stride=2)
    folded = fold_batch_norms(wrapped)
    assert sum(norms(layer) for layer in folded.layers if hasattr(layer, "layers")) == 0
    np.testing.assert_allclose(folded(picture()), wrapped(picture()), atol=1e-4)


def test_half_precision_gives_float32_logits(network):
    half = with_dtype(fold_batch_norms(network), "bfloat16")
    expected, found = np.asarray(network(picture())), np.asarray(half(picture()))
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() <= 0.05 * np.abs(expected).max()


def test_image_pooling_is_mixed_in_at_one_position(network):
    copy = pool_once(network)
    before, after = (count(model, (65, 65)) for model in (network, copy))
    assert before.multiply_adds - after.multiply_adds == (33 * 33 - 1) * 4 * CLASSES
    assert before.parameters == after.parameters
    expected = np.asarray(network(picture()))
    for found in (copy(picture()), for_inference(network)(picture())):
        assert np.abs(np.asarray(found) - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("rates", [(), (6,)])
def test_the_pooling_of_deeplab_is_mixed_in_at_one_position(rates):
    config = ModelConfig(
        backbone="mobilenetv2", num_classes=3, head_channels=32, aspp_rates=rates, decoder="none"
    )
    network = logits_model(build_model(config))
    for variable in network.non_trainable_variables:  # so that no signal dies out
        variable.assign(np.linspace(0.2, 0.9, variable.shape[0]))
    copy = pool_once(network)
    before, after = (count(model, (65, 65)) for model in (network, copy))
    assert before.multiply_adds - after.multiply_adds == (5 * 5 - 1) * 32 * 32
    expected, found = (np.asarray(model(picture())) for model in (network, copy))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_without_image_pooling_nothing_is_split():
    config = ModelConfig(backbone="mobilenetv2", decoder="none", image_pooling=False)
    network = logits_model(build_model(config))
    names = {layer.name for layer in network.layers}
    assert {layer.name for layer in pool_once(network).layers} == names


@pytest.mark.parametrize("size", [(65, 65), (64, 97)])
def test_resizing_is_one_operation(size):
    """`tiny_model` enlarges its logits; positions between the pixels are the same."""
    model = tiny_model()
    copy = resize_at_once(model)
    assert sum(isinstance(layer, Resize) for layer in copy.layers) == 2
    image = np.random.default_rng(0).integers(0, 256, (1, *size, 3)).astype(np.float32)
    expected, found = np.asarray(model(image)), np.asarray(copy(image))
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
