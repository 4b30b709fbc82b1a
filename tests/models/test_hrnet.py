"""HRNetV2 against timm's, with weights in timm's files."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from helpers.make_hrnet_golden import SIZES, image, sample, weight
from helpers.paths import TESTS

from easyseg.errors import ConfigError, WeightsError, WeightsMismatchError
from easyseg.models.backbones import hrnet
from easyseg.models.build import build_model, logits_model
from easyseg.models.config import ModelConfig
from easyseg.results.label_set import LabelSet
from easyseg.weights.bundle import read_bundle, save_bundle
from easyseg.weights.imagenet import load_imagenet, timm_name
from easyseg.weights.readers import load_weights
from easyseg.weights.readers.safetensors import read_safetensors
from easyseg.weights.variable_names import named_variables

SMALL = ModelConfig(
    "hrnet_w18",
    num_classes=3,
    output_stride=4,
    aspp_rates=(),
    image_pooling=False,
    decoder="none",
    head_channels=8,
)


def write_safetensors(path, arrays):
    table, end = {"__metadata__": {"format": "pt"}}, 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        kind = {"f4": "F32", "i8": "I64"}[array.dtype.str[1:]]
        table[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [begin, end]}
    header = json.dumps(table).encode()
    data = (array.tobytes() for array in arrays.values())
    path.write_bytes(b"".join([len(header).to_bytes(8, "little"), header, *data]))
    return path


def timm_arrays(model, backbone):
    """What timm's file for this network would hold, with the golden weights."""
    arrays = {"classifier.weight": np.ones((2, 2), np.float32)}
    for name, variable in named_variables(model).items():
        if name.startswith(f"{backbone}/"):
            key, shape = timm_name(name.removeprefix(f"{backbone}/")), tuple(variable.shape)
            if len(shape) == 4:
                shape = tuple(shape[i] for i in (3, 2, 0, 1))
            arrays[key] = weight(key, shape)
    arrays["bn1.num_batches_tracked"] = np.int64(3)
    return arrays


class Repeat(keras.layers.Layer):
    """Enlarges by repeating pixels, as timm does for ImageNet."""

    def call(self, x, like):
        return keras.ops.image.resize(x, like.shape[1:3], interpolation="nearest")


@pytest.fixture(scope="module")
def small():
    return build_model(SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("name", ["hrnet_w18", "hrnet_w32", "hrnet_w48"])
def test_it_is_timms(name, kind, tmp_path, monkeypatch):
    """Features are those of timm; with aligned corners, those of the segmentation code."""
    if kind == "repeated":
        monkeypatch.setattr(hrnet, "AlignCornersResize", Repeat)
        real = keras.Input
        monkeypatch.setattr(keras, "Input", lambda *a, **k: real((*SIZES[kind], 3), **k))
    config = SMALL.replace(backbone=name)
    model = build_model(config)
    before = np.asarray(model.get_layer("logits-semantic").kernel)
    arrays = timm_arrays(model, name)
    load_imagenet(model, config, weights=write_safetensors(tmp_path / "a.safetensors", arrays))
    golden = np.load(TESTS / "helpers/hrnet_golden.npz")
    features = keras.Model(model.input, model.get_layer("aspp0").input)
    assert sum(np.prod(w.shape) for w in features.trainable_weights) == golden[f"{name}_parameters"]
    expected = golden[f"{name}_{kind}"]
    result = sample(np.asarray(features(image(SIZES[kind]))))
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4 * expected.std())
    np.testing.assert_array_equal(before, model.get_layer("logits-semantic").kernel)


def test_head_of_the_paper(small):
    """With these values of the config the head is HRNetV2's: a 1x1 convolution and the logits."""
    inside = {name for name in named_variables(small) if not name.startswith("hrnet_w18/")}
    assert {name.split("/")[0] for name in inside} == {"aspp0", "logits"}
    assert small.get_layer("aspp0").kernel.shape == (1, 1, 270, 8)
    image = np.zeros((1, 50, 81, 3), np.uint8)
    assert logits_model(small)(image).shape == (1, 13, 21, 3)


def test_bundle(small, tmp_path):
    labels = LabelSet("three", ("a", "b", "c"), ((0, 0, 0), (9, 0, 0), (0, 9, 0)))
    bundle = read_bundle(save_bundle(tmp_path / "net", small, SMALL, labels))
    assert bundle.config == SMALL
    load_weights(small, bundle.weights, "bundle")


@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_it_has_one_output_stride(output_stride):
    with pytest.raises(ConfigError, match=r"output_stride: expected 4 \(hrnet_w18 keeps"):
        SMALL.replace(output_stride=output_stride)


@pytest.mark.slow
def test_it_has_no_decoder():
    with pytest.raises(ConfigError, match=r"needs a feature at stride 4.*choose decoder='none'"):
        build_model(SMALL.replace(decoder="deeplabv3plus"))


def test_weights_that_do_not_fit(small, tmp_path):
    with pytest.raises(WeightsError, match=r"download model\.safetensors .*timm/hrnet_w18"):
        load_imagenet(small, SMALL)
    arrays = timm_arrays(small, "hrnet_w18")
    del arrays["layer1.0.bn1.bias"]
    path = write_safetensors(tmp_path / "a.safetensors", arrays)
    with pytest.raises(WeightsMismatchError, match="1 missing: hrnet_w18/layer1/0/conv1/Batch"):
        load_imagenet(small, SMALL, weights=path)


@pytest.mark.parametrize("content", [b"", b"not weights", b"\2\0\0\0\0\0\0\0[]", None])
def test_damaged_file(content, tmp_path):
    path = tmp_path / "a.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"a\.safetensors cannot be read as \.safetensors"):
        read_safetensors(path)


def test_a_file_cut_short(tmp_path):
    path = write_safetensors(tmp_path / "a.safetensors", {"a": np.ones((4, 4), np.float32)})
    np.testing.assert_array_equal(read_safetensors(path)["a"], np.ones((4, 4)))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(WeightsError, match=r"cannot be read as \.safetensors"):
        read_safetensors(path)
