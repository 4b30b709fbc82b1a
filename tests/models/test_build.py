"""The network's variants: shapes, sizes, weights that do not depend on the output stride."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from easyseg.errors import ConfigError
from easyseg.models.backbones.dilation import dilation_schedule
from easyseg.models.build import build_model, logits_model
from easyseg.models.config import ModelConfig
from easyseg.weights.variable_names import named_variables

SMALL = ModelConfig(backbone="mobilenetv2", num_classes=5, depth_multiplier=0.25, head_channels=16)


@pytest.mark.parametrize(
    ("output_stride", "expected"),
    [
        (32, [(2, 1), (2, 1), (2, 1), (1, 1), (2, 1), (1, 1)]),
        (16, [(2, 1), (2, 1), (2, 1), (1, 1), (1, 1), (1, 2)]),
        (8, [(2, 1), (2, 1), (1, 1), (1, 2), (1, 2), (1, 4)]),
    ],
)
def test_strides_become_dilation(output_stride, expected):
    """Xception-65's blocks after its first strided convolution."""
    assert dilation_schedule([2, 2, 2, 1, 2, 1], output_stride, reached=2) == expected


@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("decoder", ["deeplabv3plus", "lraspp", "none"])
def test_shapes(output_stride, decoder):
    config = SMALL.replace(output_stride=output_stride, decoder=decoder)
    model = build_model(config)
    image = np.zeros((2, 65, 97, 3), np.uint8)
    stride = {"deeplabv3plus": 4, "lraspp": 8, "none": output_stride}[decoder]
    low = logits_model(model)(image)
    assert low.shape == (2, 64 // stride + 1, 96 // stride + 1, 5)
    assert model(image).shape == (2, 65, 97, 5)


@pytest.mark.parametrize("head", ["aspp", "dpc", "lraspp"])
def test_any_input_size(head):
    model = build_model(SMALL.replace(head=head))
    for size in [(1, 1), (33, 50), (64, 64), (31, 200)]:
        logits = np.asarray(model(np.full((1, *size, 3), 90, np.uint8)))
        assert logits.shape == (1, *size, 5)
        assert np.isfinite(logits).all()


QUICK_CHANGES = [
    {"aspp_rates": (), "image_pooling": False},
    {"head": "lraspp", "decoder": "lraspp"},
    {"backbone": "mobilenetv3_small", "head": "lraspp", "decoder": "lraspp"},
]
CHANGES = [
    {"aspp_rates": (2, 4, 6, 8)},
    {"aspp_rates": ()},
    {"aspp_separable": False},
    {"decoder_separable": False},
    {"image_pooling": False},
    {"depth_multiplier": 0.5},
    {"head": "lraspp"},
    {"decoder": "lraspp"},
]


@pytest.mark.parametrize(
    "change",
    [*QUICK_CHANGES, *(pytest.param(c, marks=pytest.mark.slow) for c in CHANGES)],
    ids=str,
)
def test_one_checkpoint_serves_every_output_stride(change):
    config = SMALL.replace(**change)
    shapes = [
        {n: tuple(v.shape) for n, v in named_variables(build_model(c)).items()}
        for c in (config, config.replace(output_stride=8), config.replace(output_stride=32))
    ]
    assert shapes[0] == shapes[1] == shapes[2]


def test_uint8_and_float_images_are_the_same():
    model = build_model(SMALL)
    image = np.random.default_rng(0).integers(0, 256, (1, 33, 33, 3), np.uint8)
    np.testing.assert_array_equal(model(image), model(image.astype(np.float32)))


def test_variables_have_official_names():
    names = set(named_variables(build_model(SMALL)))
    assert "MobilenetV2/expanded_conv_16/project/BatchNorm/moving_variance" in names
    assert "decoder/decoder_conv1_pointwise/weights" in names
    assert "logits/semantic/biases" in names
    assert "aspp3_depthwise/depthwise_weights" in names


@pytest.mark.slow
def test_parameter_counts():
    """Those of the official graphs."""
    counts = {
        ModelConfig(): 41_258_213,
        ModelConfig(num_classes=151): 41_291_623,
        ModelConfig(backbone="mobilenetv2", aspp_rates=(), decoder="none"): 2_146_645,
        ModelConfig(backbone="resnet50_beta"): 26_891_013,
    }
    for config, count in counts.items():
        assert build_model(config).count_params() == count


def test_keras_can_save_and_load_it(tmp_path):
    import keras

    model = build_model(SMALL)
    path = tmp_path / "model.keras"
    model.save(path)
    image = np.random.default_rng(0).integers(0, 256, (1, 33, 49, 3), np.uint8)
    np.testing.assert_allclose(keras.models.load_model(path)(image), model(image), atol=1e-5)


def test_a_backbone_of_another_package(monkeypatch):
    """It joins the table by name; a decoder whose feature it does not give is refused."""
    from easyseg._keras import layers
    from easyseg.models.backbones.base import Features
    from easyseg.models.backbones.registry import BACKBONES

    def tiny(x, config):
        return Features({}, layers.Conv2D(4, 3, strides=config.output_stride, name="tiny")(x))

    monkeypatch.setitem(BACKBONES._entries, "tiny", tiny)
    config = ModelConfig(backbone="tiny", decoder="none", head_channels=4, depth_multiplier=2)
    assert "tiny/weights" in named_variables(build_model(config))
    for decoder, stride in (("deeplabv3plus", 4), ("lraspp", 8)):
        with pytest.raises(ConfigError) as caught:
            build_model(config.replace(decoder=decoder))
        assert str(caught.value) == (
            f"decoder={decoder!r} needs a feature at stride {stride}, which tiny does not give; "
            "choose decoder='none'."
        )


def test_width_and_rounding_of_mobilenet():
    """At half width channels are exactly halved; expansions stay multiples of eight."""
    model = build_model(SMALL.replace(depth_multiplier=0.5))
    shapes = {n: v.shape for n, v in named_variables(model).items() if n.endswith("weights")}
    widths = [16, 8, *[12] * 2, *[16] * 3, *[32] * 4, *[48] * 3, *[80] * 3, 160]
    blocks = ["Conv", *[f"expanded_conv{f'_{i}' if i else ''}/project" for i in range(17)]]
    for block, width in itertools.zip_longest(blocks, widths):
        assert shapes[f"MobilenetV2/{block}/weights"][-1] == width


def test_width_of_mobilenet_v3():
    """Channels are rounded to eights; at width 1 they are the paper's."""
    config = SMALL.replace(backbone="mobilenetv3_small", depth_multiplier=0.75)
    shapes = {n: v.shape for n, v in named_variables(build_model(config)).items()}
    assert all(shape[-2] % 8 == 0 for n, shape in shapes.items() if n.endswith("project/weights"))
    assert shapes["MobilenetV3/Conv_1/weights"] == (1, 1, 40, 216)


def test_a_stride_of_four_does_not_overshoot():
    assert dilation_schedule([4, 4, 1], 8) == [(4, 1), (1, 1), (1, 4)]


def test_windows_of_the_gate():
    """As TensorFlow's average pooling without padding; windows are cut to a small feature."""
    import tensorflow as tf

    from easyseg.models.heads.lraspp import WindowMean

    x = np.random.default_rng(0).standard_normal((2, 33, 65, 3)).astype(np.float32)
    layer = WindowMean(25, (4, 5))
    expected = tf.nn.avg_pool2d(x, 25, (4, 5), "VALID").numpy()
    assert expected.shape == layer.compute_output_shape(x.shape) == (2, 3, 9, 3)
    np.testing.assert_allclose(layer(x), expected, atol=1e-6)
    free = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 3))])
    np.testing.assert_allclose(free(x), expected, atol=1e-6)
    low = x[:, :5]
    expected = tf.nn.avg_pool2d(low, (5, 25), (4, 5), "VALID").numpy()
    np.testing.assert_allclose(layer(low), expected, atol=1e-6)
    small = x[:, :5, :7]
    np.testing.assert_allclose(layer(small), small.mean((1, 2), keepdims=True), atol=1e-6)
