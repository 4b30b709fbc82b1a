"""A network for inference computes the same logits as the network that it was made from."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers.tiny_network import tiny_model

from easyseg import ModelConfig, build_model
from easyseg.export.inference_network import SingleOpDepthwise, SingleOpResize, inference_network
from easyseg.inference.tta import multi_scale
from easyseg.models.build import logits_model


def random_image(size=(65, 65)):
    return np.random.default_rng(0).integers(0, 256, (1, *size, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    return logits_model(tiny_model())


def batch_norms(model):
    return sum(type(layer).__name__ == "BatchNormalization" for layer in model.layers)


def test_all_batch_norms_are_folded(network):
    before = [np.array(w) for w in network.get_weights()]
    folded = inference_network(network, single_ops=False)
    expected = np.asarray(network(random_image()))
    logits = np.asarray(folded(random_image()))
    assert (batch_norms(network), batch_norms(folded)) == (4, 0)
    assert np.ptp(expected) > 0.01
    assert np.abs(logits - expected).max() <= 1e-5 * np.abs(expected).max()
    for weight, old in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_a_batch_norm_stays_unless_it_is_the_only_use_of_a_convolution():
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
    folded = inference_network(model, single_ops=False)
    assert batch_norms(folded) == 3
    np.testing.assert_allclose(folded(inputs), model(inputs), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["xception65", "mobilenetv2", "mobilenetv3_small"])
def test_easysegs_networks_keep_no_batch_norm(backbone):
    model = logits_model(build_model(ModelConfig(backbone=backbone, num_classes=3)))
    folded = inference_network(model, single_ops=False)
    assert batch_norms(model) > 30
    assert batch_norms(folded) == 0
    expected, logits = (np.asarray(m(random_image())) for m in (model, folded))
    assert np.abs(logits - expected).max() <= 1e-4 * np.abs(expected).max()


def test_nested_networks_are_folded(network):
    wrapped = multi_scale(network, (65, 65), (0.5, 1.0), flip=True, stride=2)
    folded = inference_network(wrapped, single_ops=False)
    assert sum(batch_norms(layer) for layer in folded.layers if hasattr(layer, "layers")) == 0
    np.testing.assert_allclose(folded(random_image()), wrapped(random_image()), atol=1e-4)


class Gain(keras.layers.Layer):
    """Of another package; it cannot be made again from its config."""

    def __init__(self, start, **layer):
        super().__init__(**layer)
        self.gain = self.add_weight(shape=(), initializer=keras.initializers.Constant(start))

    def call(self, x):
        return self.gain * x

    def get_config(self):
        return {}


def test_layers_of_other_packages_keep_their_weights():
    image = keras.Input((8, 8, 3))
    gain = Gain(3.0, name="gain")
    x = keras.layers.Conv2D(4, 3)(gain(image))
    model = keras.Model(image, keras.layers.BatchNormalization()(x))
    inputs = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
    for _ in range(2):
        folded = inference_network(model, single_ops=False)
        np.testing.assert_allclose(folded(inputs), model(inputs), rtol=1e-4, atol=1e-5)
        assert folded.get_layer("gain").output is not gain.output
    stages = keras.Model(folded.input, folded.get_layer("gain").output)
    np.testing.assert_allclose(stages(inputs), 3 * inputs, rtol=1e-6)
    assert len(gain._inbound_nodes) == 1


def test_what_converters_get_is_one_operation_each():
    """`tiny_model` resizes twice, and has a dilated depthwise convolution."""
    counts = []
    for single_ops in (True, False):
        copy = inference_network(tiny_model(), single_ops=single_ops)
        counts.append(
            [
                sum(isinstance(layer, kind) for layer in copy.layers)
                for kind in (SingleOpResize, SingleOpDepthwise)
            ]
        )
    assert counts == [[2, 1], [0, 0]]
