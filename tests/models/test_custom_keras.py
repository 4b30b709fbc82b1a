"""A Keras model of one's own as the backbone of a config, which a bundle takes along."""

from __future__ import annotations

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from easyseg import ModelConfig, SemanticSegmentation, build_model, keras_graph
from easyseg.errors import ConfigError, InputError, UnknownNameError, WeightsError
from easyseg.models.backbones.custom_keras import load_source
from easyseg.weights.variable_names import named_variables

TINY = {"head_channels": 8, "input_size": (65, 65)}
LOW = {4: "block2_out", 8: "block3_out"}
IMAGE = np.random.default_rng(0).integers(0, 256, (65, 65, 3), np.uint8)


def make_model(channels=3, *, blocks=5, name="mine", last=()):
    """Blocks of stride 2 with layers that Keras numbers; the classifier is numbered before them."""
    image = keras.Input((65, 65, channels))
    branch = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 1)(image))
    x = image
    for i in range(1, blocks + 1):
        x = layers.Conv2D(8, 3, strides=2, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU(name=f"block{i}_out")(x)
    for layer in last:
        x = layer(x)
    y = layers.Add()([branch, layers.Dense(2)(layers.Flatten(name="flat")(x))])
    return keras.Model(image, y, name=name)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return make_model()


def new(model, *, low="block2_out", high="block5_out", **fields):
    fields = {**TINY, **fields}
    return SemanticSegmentation.create(model, low=low, high=high, class_names=["a", "b"], **fields)


def test_it_begins_with_the_models_weights(model):
    seg = new(model, preprocessing="raw", output_stride=32)
    assert repr(seg).startswith("<SemanticSegmentation mine: 2 classes")
    features = keras.Model(seg.model.input, seg.model.get_layer("aspp0").input)
    last = keras.Model(model.input, model.get_layer("block5_out").output)
    ours = np.asarray(features(IMAGE[None].astype(np.float32)))
    theirs = np.asarray(last(IMAGE[None].astype(np.float32)))
    assert theirs.std() > 0.01
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_a_saved_model_opens_where_the_keras_model_is_not(model, tmp_path):
    seg = new(model, low=LOW, skips=(4, 8))
    folder = seg.save(tmp_path / "net")
    result = seg.segment_image(IMAGE)
    files = [tmp_path / "photo.npy", tmp_path / "expected.npy"]
    for file, array in zip(files, (IMAGE, result.grid.logits), strict=True):
        np.save(file, array)
    code = (
        "import sys; import numpy as np\n"
        "from easyseg import SemanticSegmentation\n"
        "net, image, expected = sys.argv[1:]\n"
        "found = SemanticSegmentation(net).segment_image(np.load(image)).grid.logits\n"
        "np.testing.assert_allclose(found, np.load(expected), atol=1e-5)\n"
    )
    subprocess.run([sys.executable, "-c", code, folder, *files], check=True)
    again = SemanticSegmentation(folder, output_stride=8)
    assert again.config == seg.config.replace(output_stride=8)
    assert hash(again.config.graph) == hash(seg.config.graph)
    for ours, theirs in zip(again.model.weights, seg.model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_config_makes_fresh_networks(model):
    graph = keras_graph(model, low="block2_out", high="block5_out")
    config = ModelConfig(graph=graph, num_classes=2, **TINY)
    assert config.backbone == "mine"
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    network = build_model(config)
    load_source(network, graph, model)
    kernels = [layer.kernel for layer in model.layers if isinstance(layer, layers.Conv2D)]
    theirs = next(kernel for kernel in kernels if kernel.shape == (3, 3, 3, 8))
    np.testing.assert_array_equal(named_variables(network)["mine/conv2d_1/weights"], theirs)


def test_another_backbone_leaves_the_graph_behind(model):
    graph = keras_graph(model, low="block2_out", high="block5_out")
    config = ModelConfig(graph=graph)
    assert config.replace(backbone="mobilenetv2") == ModelConfig("mobilenetv2")
    assert ModelConfig("mobilenetv2").replace(graph=graph) == config
    with pytest.raises(
        ConfigError, match=r"backbone: expected no value, or 'mine', .*got 'resnet50'"
    ):
        ModelConfig("resnet50", graph=graph)
    with pytest.raises(ConfigError, match=r"graph: expected the result of easyseg\.keras_graph"):
        ModelConfig(graph=model)


def test_without_a_low_level_feature_there_is_no_decoder(model):
    seg = new(model, low=None, decoder="none")
    assert seg.segment_image(IMAGE).labels.shape == (65, 65)
    with pytest.raises(
        ConfigError, match=r"stride 4, which mine .*'none', or .* low=\{4: \.\.\.\}"
    ):
        new(model, low=None)
    with pytest.raises(ConfigError, match=r"stride 8, which mine .* choose skips=\(4,\), or name"):
        new(model, skips=(4, 8))


@pytest.mark.parametrize(
    ("blocks", "strides", "rule"),
    [(3, (8,), r"8 \(mine ends at stride 8"), (4, (8, 16), r"8 or 16 \(")],
)
def test_models_that_end_early_have_fewer_output_strides(blocks, strides, rule):
    graph = keras_graph(make_model(blocks=blocks), low="block2_out", high=f"block{blocks}_out")
    for stride in strides:
        assert build_model(ModelConfig(graph=graph, output_stride=stride, **TINY))
    with pytest.raises(ConfigError, match=f"output_stride: expected {rule}.*got 32"):
        ModelConfig(graph=graph, output_stride=32)


def test_a_model_of_stride_4_is_like_hrnet():
    seg = new(make_model(blocks=2), low=None, high="block2_out", output_stride=4, decoder="none")
    assert seg.segment_image(IMAGE).grid.logits.shape == (17, 17, 2)


@pytest.mark.parametrize(
    ("given", "called"),
    [("resnet50", "own_resnet50"), ("functional_3", "keras_model"), ("a.b", "a_b")],
)
def test_names(given, called):
    """They differ from those of other backbones, and do not depend on earlier models."""
    graph = keras_graph(make_model(name=given), high="block5_out")
    assert graph.name == called


@keras.saving.register_keras_serializable("tests")
class Forgetful(layers.Layer):
    """Cannot be made again from its config."""

    def __init__(self, needed):
        super().__init__()

    def call(self, x):
        return x


class Subclassed(keras.Model):
    pass


@pytest.mark.parametrize(
    ("choices", "kind", "message"),
    [
        ({"low": "blok2_out"}, UnknownNameError, "unknown layer 'blok2_out'. Did you mean 'block2"),
        ({"high": "block6_out"}, UnknownNameError, "unknown layer 'block6_out'. Did you mean"),
        ({"high": None}, InputError, "high: expected the layer whose output goes to the head"),
        ({"low": "block1_out"}, ConfigError, "at stride 4, such as 'block2_out', got 'block1_out'"),
        (
            {"low": {8: "block2_out"}},
            ConfigError,
            "at stride 8, such as 'block3_out', got 'block2_out'",
        ),
        ({"low": {2: "block1_out"}}, InputError, "at strides 4 and 8, got stride 2"),
        ({"preprocessing": "imagenet"}, UnknownNameError, "unknown preprocessing 'imagenet'"),
        ({"high": "flat"}, ConfigError, "high='flat' is not a feature map"),
        ({"weights": "imagenet"}, InputError, "weights='imagenet' is not for a Keras model"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else None,
)
def test_bad_choices(model, choices, kind, message):
    with pytest.raises(kind, match=message):
        new(model, **choices)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Subclassed, "got Subclassed, which has no graph of layers"),
        (lambda: 42, "got int, which has no graph of layers"),
        (
            lambda: make_model(channels=2),
            r"expected one input of RGB images .* got \(None, 65, 65, 2\)",
        ),
        (lambda: make_model(last=[layers.Lambda(abs)]), "has a Lambda layer"),
        (lambda: make_model(last=[Forgetful(1)]), "cannot be written as JSON and read again"),
    ],
    ids=["subclassed", "number", "channels", "lambda", "forgetful"],
)
def test_bad_models(make, message):
    with pytest.raises(InputError, match=message):
        new(make(), high="flat")


def test_layers_are_for_keras_models():
    with pytest.raises(InputError, match="high='a' is for a Keras model as backbone"):
        new("mobilenetv2", low=None, high="a")


def test_code_in_a_config_is_not_run(model, tmp_path):
    """A folder from elsewhere may hold what `keras_graph` refuses."""
    folder = new(model, low=None, decoder="none").save(tmp_path / "net")
    values = json.loads((folder / "config.json").read_text())
    with pytest.warns(UserWarning, match="This is unsafe"):
        function = keras.saving.serialize_keras_object(lambda x: x)
    for layer in values["graph"]["network"]["config"]["layers"]:
        if layer["class_name"] == "ReLU":
            layer["class_name"] = "Lambda"
            layer["config"] = {"name": layer["config"]["name"], "function": function}
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(WeightsError, match=r"'mine' cannot be built from its layers .*[Ll]ambda"):
        SemanticSegmentation(folder)


def test_layers_that_are_not_registered_are_named(model, tmp_path):
    folder = new(model, low=None, decoder="none").save(tmp_path / "net")
    values = (folder / "config.json").read_text()
    (folder / "config.json").write_text(values.replace('"ReLU"', '"Absent"'))
    with pytest.raises(
        WeightsError, match=r"'mine' cannot be built from its layers .*Absent.*Import"
    ):
        SemanticSegmentation(folder)
