"""Keras's own networks, and anybody's, with late strides turned into dilation."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest
from keras import layers

from easyseg.errors import ConfigError, InputError, WeightsError
from easyseg.models.backbones.atrous import atrous
from easyseg.models.backbones.custom_keras import atrous_features
from easyseg.models.backbones.keras_applications import APPLICATIONS
from easyseg.models.backbones.normalization import preprocess
from easyseg.models.backbones.registry import BACKBONES
from easyseg.models.build import build_model
from easyseg.models.config import ModelConfig
from easyseg.models.layers.atrous_pooling import AtrousPooling2D
from easyseg.weights.imagenet import load_imagenet
from easyseg.weights.variable_names import named_variables

SMALLEST = {  # of each family
    *("resnet50", "resnet50v2", "densenet121", "efficientnetb0", "efficientnetv2b0"),
    *("convnexttiny", "keras_mobilenetv2", "keras_mobilenetv3small", "keras_xception"),
}
QUICK = {"resnet50", "keras_mobilenetv3small"}
EVEN = ("densenet", "convnext")  # windows of two: nothing is cut off where all sides are even


def members(names, quick):
    return [
        pytest.param(name, marks=[] if name in quick else [pytest.mark.slow])
        for name in sorted(names)
    ]


def randomise(model):
    """Weights that keep features about as wide as they were, and are far from a fresh model's."""
    rng = np.random.default_rng(0)
    for layer in model._flatten_layers():
        if not isinstance(layer, keras.Model):
            layer.set_weights([_random(rng, w) for w in layer.weights])
    return model


def _random(rng, weight):
    shape = tuple(weight.shape)
    if weight.name in {"gamma", "moving_variance", "variance"}:
        return rng.uniform(0.5, 1.5, shape)
    if "kernel" not in weight.name:
        return rng.normal(0, 0.1, shape).astype(weight.dtype)
    depthwise = weight.name == "depthwise_kernel" or "depthwise_conv2d" in weight.path
    return rng.normal(0, np.prod(shape[: 2 if depthwise else -1]) ** -0.5, shape)


def close_gates(model):
    """Makes squeeze-and-excitation constant: its mean over the image has more positions now."""
    for layer in model.layers:
        if layer.name.endswith(("se_expand", "squeeze_excite_conv_1")):
            kernel, bias = layer.get_weights()
            layer.set_weights([0 * kernel, bias])


def noise_image(size, seed=0):
    shape = (1, *size, 3) if isinstance(size, tuple) else (1, size, size, 3)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def rebuilt(model, output_stride):
    x = keras.Input((None, None, 3))
    placed = atrous(model, x, output_stride=output_stride, scope="net")
    return keras.Model(x, list(placed.values())[-1].tensor)


@pytest.mark.parametrize("name", members(APPLICATIONS, QUICK))
def test_dilation_sees_what_strides_saw(name, monkeypatch):
    """Features at strides 8 and 16, sampled at stride 32, are those of Keras's own network."""
    size = 64 if name.startswith(EVEN) else 97
    monkeypatch.setattr("easyseg.models.backbones.keras_applications.SIZE", (size, size, 3))
    model = randomise(APPLICATIONS[name].source())
    close_gates(model)
    # Keras's Xception cuts three pixels off, see below; all that follows is compared
    original = rebuilt(model, 32) if name == "keras_xception" else model
    image = noise_image(size)
    expected = np.asarray(original(image))
    assert expected.std() > 0.01
    for output_stride in (16, 8):
        dense = np.asarray(rebuilt(model, output_stride)(image))
        assert dense.shape[1] == -(-size // output_stride)
        sampled = dense[:, :: 32 // output_stride, :: 32 // output_stride]
        np.testing.assert_allclose(sampled, expected, rtol=1e-3, atol=1e-4 * expected.std())


def test_centered_windows_only_move_the_image():
    """Keras's Xception has no padding in its first layers and begins three pixels later."""
    model = randomise(keras.applications.Xception(False, None, input_shape=(99, 99, 3)))
    low = "block3_sepconv2_bn"
    x = keras.Input((None, None, 3))
    placed = atrous(model, x, output_stride=16, scope="net")
    ours = keras.Model(x, placed[model.get_layer(low)].tensor)
    image = noise_image(99)
    expected = np.asarray(keras.Model(model.input, model.get_layer(low).output)(image))
    result = np.asarray(ours(image[:, 3:96, 3:96]))
    inner = slice(6, 18)  # further from the border than the windows reach
    np.testing.assert_allclose(result[:, inner, inner], expected[:, inner, inner], atol=1e-4)


def test_padding_for_even_sizes_is_centered_too():
    """Keras pads the far side alone where the side is even; the atrous network is the same."""
    result = []
    for size in (96, 97):
        model = keras.applications.MobileNetV2((size, size, 3), 0.35, False, None)
        result.append(np.asarray(rebuilt(randomise(model), 16)(noise_image(97))))
    np.testing.assert_array_equal(*result)


def keras_preprocess(name, image):
    """As the constructor's module does it; where the graph does it, that changes nothing."""
    constructor = getattr(keras.applications, APPLICATIONS[name].constructor)
    return sys.modules[constructor.__module__].preprocess_input(image.copy())


@pytest.mark.parametrize(
    "name", ["resnet50", "resnet50v2", "densenet121", "keras_mobilenetv2", "keras_xception"]
)
def test_preprocessing(name):
    """Images reach the weights as Keras's `preprocess_input` of that family makes them."""
    image = np.random.default_rng(0).integers(0, 256, (1, 5, 5, 3)).astype(np.float32)
    result = np.asarray(preprocess(image, APPLICATIONS[name].preprocessing))
    np.testing.assert_allclose(result, keras_preprocess(name, image), atol=1e-4)


@pytest.mark.parametrize(
    "name", members({*SMALLEST, "efficientnetv2s"}, {"keras_mobilenetv3small"})
)
def test_imagenet_weights(name, tmp_path):
    """The network with a weights file is Keras's own with it, from the image's bytes on."""
    row = APPLICATIONS[name]
    size = 64 if name.startswith(EVEN) else 97
    constructor = getattr(keras.applications, row.constructor)
    own = randomise(constructor(include_top=False, weights=None, input_shape=(size, size, 3)))
    for layer in own.layers:
        if isinstance(layer, layers.Normalization) and layer.weights:
            deviation = np.square((0.229, 0.224, 0.225))
            layer.set_weights([np.array((0.485, 0.456, 0.406)), deviation, np.array(0)])
    own.save_weights(tmp_path / "a.weights.h5")

    config = ModelConfig(name, output_stride=32, decoder="none", aspp_rates=(), head_channels=8)
    model = build_model(config)
    load_imagenet(model, config, weights=tmp_path / "a.weights.h5")
    image = np.random.default_rng(0).integers(0, 256, (1, size, size, 3)).astype(np.float32)
    # the feature that ASPP gets
    result = np.asarray(keras.Model(model.input, model.get_layer("aspp0").input)(image))
    prepared = keras_preprocess(name, image)
    last = own.get_layer(row.classifier).input if row.classifier else own.output
    if name == "keras_xception":  # moved, see above; still the same weights in the same places
        own = rebuilt(own, 32)
        last = own.output
    expected = np.asarray(keras.Model(own.input, last)(prepared))
    assert expected.std() > 0.01
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3 * expected.std())


def test_imagenet_weights_that_are_not_available(tmp_path):
    config = ModelConfig("mobilenetv2")
    with pytest.raises(InputError, match=r"no ImageNet weights for backbone 'mobilenetv2'"):
        load_imagenet(None, config)
    config = ModelConfig("keras_mobilenetv2")
    with pytest.raises(WeightsError, match=r"of MobileNetV2: .*include_top=False"):
        load_imagenet(None, config, weights=tmp_path / "absent.weights.h5")
    small = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    small.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(WeightsError, match=r"Cannot load weights=.* of MobileNetV2"):
        load_imagenet(None, config, weights=tmp_path / "other.weights.h5")


@keras.saving.register_keras_serializable("tests")
class Scale(layers.Layer):
    """A layer as others write them: its weight has no name."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return x * self.scale


def small_model():
    """Pads, pools, branches, a nested model, shared layers: all that the rewrite supports."""
    relu = layers.ReLU()
    image = keras.Input((None, None, 3))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(image)
    x = relu(layers.Conv2D(6, 3, strides=2, use_bias=False)(x))
    x = layers.MaxPooling2D(3, 2, padding="same", name="four")(x)
    inner = keras.Sequential(
        [keras.Input((None, None, 6)), layers.SeparableConv2D(8, 5, 2, "same")]
    )
    x = inner(x)
    y = layers.AveragePooling2D(3, 1, padding="same")(x)
    x = layers.BatchNormalization()(x) + 0.5 * y
    branch = layers.Conv2D(8, 1, strides=2, name="strided")(x)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool")(x)
    x = relu(layers.Concatenate(name="sixteen")([x, branch]))
    inside = keras.Input((None, None, 16))
    within = layers.DepthwiseConv2D(3, 2, "same", dilation_rate=1)(inside)
    pool = [keras.Input((None, None, 16)), layers.MaxPooling2D(3, 1, padding="same")]
    within = keras.Model(inside, keras.Sequential(pool)(within))
    x = layers.Conv2D(8, 3, padding="same", dilation_rate=2)(within(x))
    x = layers.LayerNormalization(name="last")(Scale()(x))
    return keras.Model(image, layers.GlobalAveragePooling2D()(x))


@pytest.fixture
def registered(monkeypatch):
    def add(model, *, low, high, preprocessing="tf"):
        trunk = keras.Model(model.input, model.get_layer(high).output)

        def backbone(x, config):
            return atrous_features(trunk, preprocess(x, preprocessing), config, low={4: low})

        monkeypatch.setitem(BACKBONES._entries, "mine", backbone)
        return ModelConfig("mine", num_classes=3, head_channels=8)

    return add


def test_any_keras_model(registered):
    """It keeps its weights and has the same variables at each output stride."""
    model = randomise(small_model())
    config = registered(model, low="four", high="last", preprocessing="raw")
    image = np.random.default_rng(0).integers(0, 256, (1, 65, 65, 3)).astype(np.float32)
    result, names = {}, []
    for output_stride in (32, 16, 8):
        network = build_model(config.replace(output_stride=output_stride, image_pooling=False))
        names.append(list(named_variables(network)))
        high = keras.Model(network.input, network.get_layer("aspp0").input)
        result[output_stride] = np.asarray(high(image))
    assert names[0] == names[1] == names[2]
    assert result[32].std() > 0.01
    np.testing.assert_allclose(result[16][:, ::2, ::2], result[32], atol=1e-4)
    np.testing.assert_allclose(result[8][:, ::4, ::4], result[32], atol=1e-4)
    # the model's padding of the far side begins one pixel later than a centered window
    last = keras.Model(model.input, model.get_layer("last").output)
    later = np.asarray(last(np.pad(image, ((0, 0), (1, 0), (1, 0), (0, 0)))))
    np.testing.assert_allclose(later, result[32], atol=1e-3)


def test_a_rebuilt_model_can_be_saved(registered, tmp_path):
    config = registered(small_model(), low="four", high="last")
    network = build_model(config.replace(output_stride=8))
    network.save(tmp_path / "a.keras")
    image = noise_image((33, 49))
    again = keras.models.load_model(tmp_path / "a.keras")
    np.testing.assert_allclose(again(image), network(image), atol=1e-5)


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize(("side", "rate"), [(2, 1), (3, 1), (2, 2), (3, 2), (4, 3)])
def test_atrous_pooling(side, rate, average):
    """Each of the `rate` grids is pooled by itself, as Keras pools, within the image."""
    kind = layers.AveragePooling2D if average else layers.MaxPooling2D
    x = noise_image((12, 15)) - 3
    result = np.asarray(AtrousPooling2D(side, rate, average=average)(x))
    pool = kind(side, 1, padding="same")
    for row in range(rate):
        for col in range(rate):
            expected = np.asarray(pool(x[:, row::rate, col::rate]))
            np.testing.assert_allclose(result[:, row::rate, col::rate], expected, rtol=1e-5)


def net(*steps):
    image = x = keras.Input((None, None, 3))
    for step in (layers.Conv2D(4, 3, 4, "same", name="four"), *steps):
        x = step(x)
    return keras.Model(image, x)


def both(*steps):
    return lambda x: layers.Add(name="meeting")([step(x) for step in steps])


def twice(layer):
    return lambda x: layer(layers.MaxPooling2D(2, 2)(layer(layers.MaxPooling2D(2, 2)(layer(x)))))


STRIDED = layers.Conv2D
IMPOSSIBLE = {
    "upsampling": (lambda: [layers.UpSampling2D()], r"\(UpSampling2D\) moves or mixes positions"),
    "slice": (lambda: [lambda x: x[:, 1:], layers.ReLU()], r"\(GetItem\) moves or mixes positions"),
    "loose pad": (lambda: [layers.ZeroPadding2D(1), layers.ReLU()], r"\(ReLU\) moves or mixes"),
    "meeting": (
        lambda: [
            both(
                STRIDED(4, 3, 2, "same"),
                keras.Sequential([layers.ZeroPadding2D(((0, 1), (0, 1))), STRIDED(4, 3, 2)]),
            )
        ],
        "meet at layer 'meeting' pad differently",
    ),
    "oblong": (lambda: [STRIDED(4, (1, 3), padding="same")], "height and width differently"),
    "shared": (
        lambda: [twice(STRIDED(4, 3, padding="same", name="c")), layers.ReLU()],
        "'c' is called at several",
    ),
    "flat": (
        lambda: [layers.Flatten(name="flat")],
        "ends at stride 0, after layer 'flat'; choose a layer at stride 8",
    ),
    "stride 4": (
        list,
        "output_stride=8 cannot be built: 'mine' ends at stride 4, .*; choose a layer",
    ),
}


def test_a_model_that_ends_early(registered):
    model = net(layers.Conv2D(4, 3, 2, "same", name="eight"))
    config = registered(model, low="four", high="eight")
    with pytest.raises(ConfigError, match=r"ends at stride 8, .* 16, or output_stride=8\."):
        build_model(config)


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_has_no_atrous_form(case, registered):
    steps, message = IMPOSSIBLE[case]
    model = net(*steps())
    config = registered(model, low="four", high=model.layers[-1].name)
    with pytest.raises(ConfigError, match=message):
        build_model(config.replace(output_stride=8))


def test_low_must_lie_at_stride_4(registered):
    eight = layers.Conv2D(4, 3, 2, "same", name="eight")
    config = registered(net(eight), low="eight", high="eight")
    with pytest.raises(
        ConfigError, match=r"before `high` at stride 4, such as 'four', got 'eight'"
    ):
        build_model(config.replace(output_stride=8))
    image = keras.Input((None, None, 3))
    steep = keras.Model(image, layers.Conv2D(4, 3, 8, "same", name="eight")(image))
    config = registered(steep, low="eight", high="eight")
    with pytest.raises(ConfigError, match=r"at stride 4, of which there is none, got 'eight'"):
        build_model(config.replace(output_stride=8))
