"""Saved models from strangers: values that are no numbers, networks that the file does not hold."""

import json
import shutil

import h5py
import numpy as np
import pytest

from easyseg import keras_graph
from easyseg._keras import keras
from easyseg.errors import InputError, WeightsError
from easyseg.models.build import build_model
from easyseg.models.config import ModelConfig
from easyseg.results.label_set import LabelSet
from easyseg.weights.bundle import save_bundle
from easyseg.weights.imagenet import load_imagenet
from easyseg.weights.loader import load_model
from easyseg.weights.variable_names import named_variables

LABELS = LabelSet("two", ("a", "b"), ((0, 0, 0), (9, 9, 9)))
SMALL = ModelConfig(
    backbone="mobilenetv2", depth_multiplier=0.1, head_channels=8, num_classes=2, aspp_rates=()
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_bundle(tmp_path_factory.mktemp("saved") / "net", build_model(SMALL), SMALL, LABELS)


@pytest.fixture
def bundle(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "net")


def change_config(bundle, **changes):
    config = json.loads((bundle / "config.json").read_text())
    (bundle / "config.json").write_text(json.dumps(config | changes))


def replace_dataset(bundle, make):
    with h5py.File(bundle / "model.weights.h5", "a") as file:
        del file["logits/semantic/biases"]
        make(file, "logits/semantic/biases")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(bundle, value):
    def make(file, name):
        file[name] = np.array([0, value], np.float32)

    replace_dataset(bundle, make)
    with pytest.raises(WeightsError, match=r"model.weights.h5: logits/semantic/biases has values"):
        load_model(bundle)


def test_a_file_of_the_machine_is_neither_read_nor_passed_on(bundle):
    secret = bundle.parent / "secret"
    secret.write_bytes(np.float32([1, 2]).tobytes())
    where = [(str(secret), 0, 8)]
    replace_dataset(
        bundle, lambda file, name: file.create_dataset(name, (2,), "f4", external=where)
    )
    with pytest.raises(WeightsError, match="takes its values from other files"):
        load_model(bundle)


@pytest.mark.parametrize(
    "changes",
    [
        {"head_channels": 1 << 20},
        {"low_level_channels": 1 << 24, "decoder": "deeplabv3plus"},
        {"num_classes": 1 << 24},
    ],
)
def test_a_network_that_the_file_does_not_hold(bundle, changes):
    change_config(bundle, **changes)
    with pytest.raises(WeightsError, match=r"config.json describes a network of \d+ parameters"):
        load_model(bundle)


def test_a_keras_model_that_the_file_does_not_hold(tmp_path):
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, strides=32, padding="same", name="last")(image)
    graph = keras_graph(keras.Model(image, x), high="last")
    config = ModelConfig(
        graph=graph, num_classes=2, decoder="none", head_channels=8, aspp_rates=(), output_stride=32
    )
    bundle = save_bundle(tmp_path / "net", build_model(config), config, LABELS)
    assert load_model(bundle).config == config
    text = (bundle / "config.json").read_text()
    assert '"filters": 4' in text
    (bundle / "config.json").write_text(text.replace('"filters": 4', f'"filters": {1 << 30}'))
    with pytest.raises(WeightsError, match="describes a network of"):
        load_model(bundle)


def test_code_in_a_saved_model_is_not_run(tmp_path, bundle):
    """A Lambda layer holds Python's bytecode."""
    layer = keras.layers.Lambda(lambda x: x, output_shape=(None, None, 3), name="last")
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layer(image))
    network = keras.saving.serialize_keras_object(model)
    graph = {
        "name": "net", "stride": 32, "high": "last", "low": [], "preprocessing": "tf",
        "network": json.loads(json.dumps(network)),
    }  # fmt: skip
    change_config(bundle, graph=graph, backbone="net", decoder="none", depth_multiplier=1.0)
    with pytest.raises(WeightsError, match="backbone 'net' cannot be built from its layers"):
        load_model(bundle)


def test_a_killed_exchange_is_found_at_the_next_opening(bundle):
    bundle.rename(bundle.with_name(".net.kept"))
    assert load_model(bundle).config == SMALL
    assert [path.name for path in bundle.parent.iterdir()] == ["net"]
    with pytest.raises(InputError, match="is neither a model's name nor a folder"):
        load_model(bundle.with_name("other"))


def test_backbone_weights_that_are_not_finite_or_elsewhere(tmp_path):
    config = ModelConfig(backbone="keras_mobilenetv3small", num_classes=2, decoder="none")
    model = build_model(config)
    constructor = keras.applications.MobileNetV3Small
    source = constructor(include_top=False, weights=None, include_preprocessing=False)
    path = tmp_path / "net.weights.h5"
    source.save_weights(path)
    load_imagenet(model, config, weights=path)
    with h5py.File(path, "a") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "dtype") else None)
        file[names[0]][...] = np.nan
    before = {name: np.array(v.value) for name, v in named_variables(model).items()}
    with pytest.raises(WeightsError, match=r"net.weights.h5: .* has values that are NaN"):
        load_imagenet(model, config, weights=path)
    with h5py.File(path, "a") as file:
        file["more"] = h5py.ExternalLink("other.h5", "/")
    with pytest.raises(WeightsError, match="'more' is a link"):
        load_imagenet(model, config, weights=path)
    for name, variable in named_variables(model).items():
        np.testing.assert_array_equal(variable.value, before[name])
