"""The blocks that a config can add, each against its definition."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers.tiny_backbone import register_tiny

from easyseg.models.build import build_model, logits_model
from easyseg.models.config import DROPOUT_POSITIONS, ModelConfig
from easyseg.models.layers.attention import attend
from easyseg.models.layers.learned_upsampling import BILINEAR, LearnedUpsampling
from easyseg.models.layers.norm import GroupNorm
from easyseg.models.layers.registry import ATTENTIONS
from easyseg.models.layers.resize import resize_align_corners
from easyseg.weights.variable_names import assign, named_variables


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    register_tiny(monkeypatch)


def config_of(**changes):
    size = {"num_classes": 3, "head_channels": 8, "input_size": (65, 65)}
    return ModelConfig("tiny", **{**size, **changes})


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("factor", [1, 2, 4, 16])
@pytest.mark.parametrize("size", [(5, 7), (1, 1), (1, 4)])
def test_learned_upsampling_begins_as_bilinear(factor, size):
    """With aligned corners, at every position."""
    x = noise(2, *size, 3)
    layer = LearnedUpsampling(factor)
    result = np.asarray(layer(x))
    larger = tuple((side - 1) * factor + 1 for side in size)
    assert result.shape == tuple(layer.compute_output_shape(x.shape)) == (2, *larger, 3)
    np.testing.assert_allclose(result, resize_align_corners(x, larger), atol=1e-6)


def test_learned_upsampling_is_a_transposed_convolution():
    """With any weights: Keras's, with each channel's kernel on the diagonal."""
    x, kernel = noise(1, 4, 6, 3), noise(3, 3, 3, 1, seed=1)
    layer = LearnedUpsampling(2)
    layer.build(x.shape)
    np.testing.assert_array_equal(layer.kernel[..., 2, 0], BILINEAR)
    layer.kernel.assign(kernel)
    theirs = keras.layers.Conv2DTranspose(3, 3, strides=2, use_bias=False)
    theirs.build(x.shape)
    theirs.kernel.assign(kernel[::-1, ::-1] * np.eye(3, dtype=np.float32))  # mirrored
    expected = np.asarray(theirs(x))[:, 1:-1, 1:-1]  # positions that lie within the feature
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


@pytest.mark.parametrize("change", [{}, {"decoder": "none"}], ids=str)
def test_a_fresh_network_with_learned_upsampling(change):
    """Is the network with bilinear upsampling, at whatever output stride."""
    image = np.random.default_rng(0).integers(0, 256, (1, 65, 97, 3), np.uint8)
    model = build_model(config_of(**change))
    weights = {name: np.asarray(v.value) for name, v in named_variables(model).items()}
    expected = np.asarray(model(image))
    for output_stride in (16, 8):
        if output_stride == 8:
            other = build_model(config_of(output_stride=8, **change))
            assign(other, weights, source="test")
            expected = np.asarray(other(image))
        config = config_of(upsampling="learned", output_stride=output_stride, **change)
        learned = build_model(config)
        kernels = {
            name: np.asarray(v.value)
            for name, v in named_variables(learned).items()
            if "upsample" in name
        }
        assert len(kernels) == (1 if change else 2)
        assign(learned, {**weights, **kernels}, source="test")
        np.testing.assert_allclose(learned(image), expected, atol=1e-5)
        assert logits_model(learned)(image).shape == (1, 65, 97, 3)


def attention(kind, x, seed=0):
    """The layer's output, and its weights by the ends of their names."""
    image = keras.Input(x.shape[1:])
    config = config_of(attention=kind, attention_at=("aspp",))
    assert attend(image, config, "decoder") is image
    model = keras.Model(image, attend(image, config, "aspp"))
    model.set_weights([noise(*w.shape, seed=i) for i, w in enumerate(model.get_weights())])
    named = named_variables(model)
    return np.asarray(model(x)), {k.removeprefix("aspp/attention/"): v for k, v in named.items()}


def excite(pooled, weights):
    """Two dense layers with a ReLU between, of `(N, C)`."""
    kernel, bias = weights["reduce/weights"], weights["reduce/biases"]
    hidden = np.maximum(pooled @ np.asarray(kernel)[0, 0] + bias, 0)
    return hidden @ np.asarray(weights["expand/weights"])[0, 0] + weights["expand/biases"]


def spatial_gate(x, weights):
    """The 7x7 convolution of mean and maximum, zeros beyond the border."""
    both = np.stack([x.mean(-1), x.max(-1)], axis=-1)
    padded = np.pad(both, ((0, 0), (3, 3), (3, 3), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), axis=(1, 2))
    kernel = np.asarray(weights["spatial_gate/weights"])[..., 0]
    gate = np.einsum("nhwcij,ijc->nhw", windows, kernel) + weights["spatial_gate/biases"]
    return sigmoid(gate)[..., None]


def test_squeeze_and_excitation():
    """Hu et al., equations 2 to 4."""
    x = noise(2, 5, 7, 32)
    result, weights = attention("se", x)
    assert weights["reduce/weights"].shape == (1, 1, 32, 2)
    gate = sigmoid(excite(x.mean((1, 2)), weights))
    np.testing.assert_allclose(result, x * gate[:, None, None], atol=1e-5)


def test_spatial_attention():
    """Woo et al., equation 3."""
    x = noise(2, 9, 8, 6)
    result, weights = attention("spatial", x)
    np.testing.assert_allclose(result, x * spatial_gate(x, weights), atol=1e-5)


def test_cbam():
    """Woo et al., equations 1 to 3: one gate per channel, then one per position."""
    x = noise(2, 9, 8, 32)
    result, weights = attention("cbam", x)
    gate = sigmoid(excite(x.mean((1, 2)), weights) + excite(x.max((1, 2)), weights))
    gated = x * gate[:, None, None]
    np.testing.assert_allclose(result, gated * spatial_gate(gated, weights), atol=1e-5)


@pytest.mark.parametrize("kind", [kind for kind in ATTENTIONS if kind != "none"])
def test_where_attention_is(kind):
    def places(*at):
        model = build_model(config_of(attention=kind, attention_at=at))
        return {name.split("/")[0] for name in named_variables(model) if "attention" in name}

    assert places("aspp") == {"aspp"}
    assert places("decoder", "aspp") == {"aspp", "decoder"}


@pytest.mark.parametrize(("channels", "groups"), [(256, 32), (48, 12), (8, 2), (10, 2), (3, 1)])
def test_groups(channels, groups):
    """As many as the paper's 32, if each has four channels; images do not see each other."""
    x = keras.Input((5, 5, channels))
    model = keras.Model(x, GroupNorm(1e-5)(x, "conv"))
    assert model.get_layer("conv-GroupNorm").groups == groups
    images = noise(2, 5, 5, channels)
    result = np.asarray(model(images, training=True))
    np.testing.assert_allclose(result[:1], model(images[:1]), atol=1e-5)
    split = result.reshape(2, 25, groups, -1)
    np.testing.assert_allclose(split.mean((1, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(split.std((1, 3)), 1, atol=1e-2)


def test_group_norm_is_in_head_and_decoder():
    names = set(named_variables(build_model(config_of(norm="group"))))
    batch = {name for name in names if "/BatchNorm/" in name}
    assert all(name.startswith("tiny/") for name in batch)
    assert "concat_projection/GroupNorm/gamma" in names
    assert "decoder/decoder_conv1_pointwise/GroupNorm/beta" in names


def test_dropout_is_where_the_config_says():
    def dropped(dropout):
        model = build_model(config_of(dropout=dropout))
        result = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
        return {layer.name.removesuffix("-dropout"): layer.rate for layer in result}

    assert dropped(0.3) == dropped({"aspp": 0.3}) == {"concat_projection": 0.3}
    assert dropped(0) == dropped({}) == {}
    shares = {place: i / 10 for i, place in enumerate(DROPOUT_POSITIONS, start=1)}
    assert dropped(shares) == {
        "backbone": 0.1,
        "concat_projection": 0.2,
        "decoder-feature_projection0": 0.3,
        "decoder-decoder_conv0": 0.4,
        "decoder-decoder_conv1": 0.4,
        "logits": 0.5,
    }


def test_two_skips():
    """The stage at stride 8 is an addition: the one at stride 4 keeps names and shapes."""
    one = {k: v.shape for k, v in named_variables(build_model(config_of())).items()}
    two = {k: v.shape for k, v in named_variables(build_model(config_of(skips=(4, 8)))).items()}
    new = two.keys() - one.keys()
    assert {name: two[name] for name in one} == one
    assert {name.rsplit("/", 2)[0] for name in new} >= {"decoder/stride8"}
    assert all(name.startswith("decoder/stride8/") for name in new)


@pytest.mark.parametrize("separable", [True, False])
def test_refinement(separable):
    config = config_of(aspp_refine=True, aspp_separable=separable)
    names = [n for n in named_variables(build_model(config)) if n.startswith("aspp_refine")]
    kind = "aspp_refine_depthwise/depthwise_weights" if separable else "aspp_refine/weights"
    assert kind in names


def test_it_can_be_saved_by_keras(tmp_path):
    config = config_of(attention="cbam", norm="group", upsampling="learned", skips=(4, 8))
    model = build_model(config)
    model.save(tmp_path / "model.keras")
    image = np.random.default_rng(0).integers(0, 256, (1, 33, 50, 3), np.uint8)
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(image), model(image), atol=1e-5)
    assert again(image).shape == (1, 33, 50, 3)
