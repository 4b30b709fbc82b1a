"""Networks of KerasHub's: its logits, labels at the image's size, saving, training, bad input."""

from __future__ import annotations

import json
import sys

import cv2
import numpy as np
import pytest

from easyseg import SemanticSegmentation, build_model
from easyseg.cli import main
from easyseg.errors import (
    ConfigError,
    DownloadError,
    InputError,
    UnknownNameError,
    WeightsError,
)
from easyseg.inference.options import InferenceOptions
from easyseg.inference.predictor import Predictor
from easyseg.models.build import logits_model
from easyseg.models.kerashub.config import KerasHubConfig
from easyseg.models.summary import count
from easyseg.weights.loader import load_model
from easyseg.weights.variable_names import named_variables

keras_hub = pytest.importorskip("keras_hub", reason="needs KerasHub: pip install easyseg[hub]")

SIDE = 64
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
SCALE, OFFSET = [0.017, 0.0175, 0.0174], [-2.1, -2.03, -1.8]


def mix_transformer(side, **sizes):
    """The encoder of SegFormer."""
    return keras_hub.models.MiTBackbone(
        num_layers=4,
        layerwise_sr_ratios=[8, 4, 2, 1],
        layerwise_patch_sizes=[7, 3, 3, 3],
        layerwise_strides=[4, 2, 2, 2],
        max_drop_path_rate=0.1,
        image_shape=(side, side, 3),
        **sizes,
    )


def segformer(classes, side=SIDE):
    encoder = mix_transformer(
        side,
        layerwise_depths=[1, 1, 1, 1],
        layerwise_num_heads=[1, 1, 2, 2],
        hidden_dims=[4, 8, 12, 16],
    )
    converter = keras_hub.layers.SegFormerImageConverter(
        image_size=(224, 224), scale=SCALE, offset=OFFSET
    )
    return keras_hub.models.SegFormerImageSegmenter(
        keras_hub.models.SegFormerBackbone(image_encoder=encoder, projection_filters=16),
        num_classes=classes,
        preprocessor=keras_hub.models.SegFormerImageSegmenterPreprocessor(converter),
    )


def deeplab(classes, *, size=(SIDE, SIDE), **changes):
    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64, 64, 64],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
    )
    backbone = keras_hub.models.DeepLabV3Backbone(
        image_encoder=encoder,
        **{
            "projection_filters": 8,
            "low_level_feature_key": "P2",
            "spatial_pyramid_pooling_key": "P5",
            "upsampling_size": 8,
            "dilation_rates": [6, 12, 18],
            **changes,
        },
    )
    converter = keras_hub.layers.DeepLabV3ImageConverter(image_size=size, scale=1 / 255)
    return keras_hub.models.DeepLabV3ImageSegmenter(
        backbone,
        num_classes=classes,
        preprocessor=keras_hub.models.DeepLabV3ImageSegmenterPreprocessor(converter),
    )


def randomised(task):
    """The task with batch norm statistics that are not those of a new layer."""
    import keras

    rng = np.random.default_rng(3)
    for variable in task.weights:
        if variable.path.endswith("moving_mean"):
            variable.assign(rng.normal(0, 0.2, variable.shape))
        if variable.path.endswith("moving_variance"):
            variable.assign(rng.uniform(0.5, 2, variable.shape))
    assert isinstance(task, keras.Model)
    return task


@pytest.fixture(scope="module")
def task():
    import keras

    keras.utils.set_random_seed(5)
    return randomised(segformer(19))


@pytest.fixture(scope="module")
def preset(task, tmp_path_factory):
    """A folder as KerasHub's presets are."""
    folder = tmp_path_factory.mktemp("presets") / "tiny_cityscapes"
    task.save_to_preset(str(folder))
    return folder


@pytest.fixture(scope="module")
def hub(preset):
    return SemanticSegmentation(f"hub:{preset}")


def close(got, wanted):
    """Equal up to the noise of another order of sums."""
    np.testing.assert_allclose(got, wanted, atol=1e-5 * np.abs(wanted).max(), rtol=0)


# What KerasHub computes


def test_segformer_is_that_of_keras_hub(hub, task):
    wanted = task(IMAGES * np.float32(SCALE) + np.float32(OFFSET), training=False)
    close(hub.model(IMAGES, training=False), wanted)
    assert hub.label_set.name == "cityscapes"
    assert hub.config.input_size == (SIDE, SIDE)


def test_deeplab_is_that_of_keras_hub(tmp_path):
    task = randomised(deeplab(21))
    task.save_to_preset(str(tmp_path / "tiny_pascalvoc"))
    opened = load_model(f"hub:{tmp_path / 'tiny_pascalvoc'}")
    assert opened.label_set.name == "voc"
    close(opened.model(IMAGES), task(IMAGES / np.float32(255), training=False))
    assert logits_model(opened.model)(IMAGES).shape == (2, SIDE // 4, SIDE // 4, 21)
    again = build_model(opened.config)
    assert list(named_variables(again)) == list(named_variables(opened.model))


P4 = {"spatial_pyramid_pooling_key": "P4", "upsampling_size": 4}
NO_DECODER = {"low_level_feature_key": None, "upsampling_size": 1}


@pytest.mark.parametrize(
    ("make", "output_stride", "input_size", "logits_stride"),
    [
        pytest.param(lambda: segformer(3), 32, (64, 64), 4, marks=pytest.mark.slow),
        pytest.param(lambda: segformer(3, 80), 32, (80, 80), 4, marks=pytest.mark.slow),
        (lambda: deeplab(3), 32, (64, 64), 4),
        (lambda: deeplab(3, **P4), 16, (64, 64), 4),
        (lambda: deeplab(3, **P4, size=(50, 90)), 16, (64, 96), 4),
        (lambda: deeplab(3, size=(50, 90)), 32, (64, 96), 4),
        (lambda: deeplab(3, **NO_DECODER, size=(32, 32)), 32, (32, 32), 32),
    ],
    ids=["segformer", "80", "deeplab", "P4", "P4 oblong", "oblong", "one logit"],
)
def test_strides_and_sizes(make, output_stride, input_size, logits_stride, tmp_path):
    """Sizes that a network cannot have are rounded up; whatever it is, images open."""
    make().save_to_preset(str(tmp_path / "net"))
    hub = SemanticSegmentation(f"hub:{tmp_path / 'net'}")
    assert (hub.config.output_stride, hub.config.input_size) == (output_stride, input_size)
    assert f"output stride {output_stride}" in repr(hub)
    image = RNG.integers(0, 256, (70, 50, 3), np.uint8)
    result = hub.segment_image(image)
    cells = tuple(side // logits_stride for side in input_size)
    assert (result.labels.shape, result.grid.logits.shape) == ((70, 50), (*cells, 3))
    predictor = Predictor(hub.model, hub.label_set, input_size=input_size)
    assert predictor.network.stride == logits_stride
    again = build_model(hub.config)
    again.set_weights(hub.model.get_weights())
    close(again(image[None]), hub.model(image[None]))


def test_a_call_without_training_is_inference(hub):
    """KerasHub's own networks normalize with the batch then, for Keras's Resizing in them."""
    before = [np.array(v) for v in hub.model.non_trainable_variables]
    np.testing.assert_array_equal(hub.model(IMAGES), hub.model(IMAGES, training=False))
    for old, new in zip(before, hub.model.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_its_layers_are_those_of_one_flat_network(hub):
    """So that what looks at a network's layers sees them all."""
    import keras

    names = [layer.name for layer in hub.model.layers]
    assert "encoder-hierarchical_encoder_0_0" in names
    assert "decoder-batch_normalization_0" in names
    outputs = keras.Model(hub.model.input, [layer.output for layer in hub.model.layers])
    assert len(outputs(IMAGES)) == len(names)


@pytest.mark.slow
def test_a_preset_without_preprocessing_gets_imagenets(tmp_path):
    task = segformer(4)
    task.preprocessor = None
    task.save_to_preset(str(tmp_path / "mine"))
    opened = load_model(f"hub:{tmp_path / 'mine'}")
    white = (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(255 * np.array(opened.config.scale) + opened.config.offset, white)
    assert opened.label_set.names == ("class 0", "class 1", "class 2", "class 3")


@pytest.mark.parametrize("size", [(SIDE, SIDE), (2 * SIDE, 2 * SIDE), (2 * SIDE, SIDE)])
def test_labels_at_the_images_size(hub, size):
    """They follow half-pixel centers, as `image.resize` has them."""
    from keras import ops

    image = RNG.integers(0, 256, (*size, 3), np.uint8)
    result = hub.segment_image(image)
    shrunk = [SIDE * side // max(size) for side in size]  # to this part of the input
    whole = [round(SIDE * side / part) for side, part in zip(size, shrunk, strict=True)]
    logits = result.grid.logits
    assert logits.shape == (SIDE // 4, SIDE // 4, 19)
    enlarged = np.asarray(ops.image.resize(logits[None], whole, interpolation="bilinear"))[0]
    enlarged = enlarged[: size[0], : size[1]]
    inside = tuple(
        slice(0, side - (0 if part == SIDE else 3)) for side, part in zip(size, shrunk, strict=True)
    )
    top = np.sort(enlarged, -1)
    clear = (top[..., -1] - top[..., -2] > 1e-4)[inside]
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(result.labels[inside][clear], enlarged.argmax(-1)[inside][clear])
    if size == (SIDE, SIDE):
        close(enlarged, np.asarray(hub.model(image[None]))[0])


def test_images_of_any_size(hub):
    assert hub.model(np.zeros((1, 50, 70, 3), np.float32)).shape == (1, 50, 70, 19)


# Inspection


@pytest.mark.slow
def test_cost_of_segformer_b0():
    """3.8 million parameters, 8.4 billion multiply-adds: Xie et al., 2021, table 1."""
    import keras

    encoder = mix_transformer(
        512,
        layerwise_depths=[2, 2, 2, 2],
        layerwise_num_heads=[1, 2, 5, 8],
        hidden_dims=[32, 64, 160, 256],
    )
    backbone = keras_hub.models.SegFormerBackbone(image_encoder=encoder, projection_filters=256)
    network = keras.saving.serialize_keras_object(backbone)
    config = KerasHubConfig("b0", 150, (512, 512), (1.0,) * 3, (0.0,) * 3, network)
    cost = count(build_model(config), (512, 512))
    assert round(cost.parameters / 1e6, 1) == 3.8
    assert round(cost.multiply_adds / 1e9, 1) == 8.4


def info(capsys, model):
    with pytest.raises(SystemExit) as caught:
        main(["info", str(model)])
    assert not caught.value.code
    lines = capsys.readouterr().out.splitlines()
    return {line[:15].strip(): line[15:] for line in lines}


@pytest.mark.slow
def test_info(preset, hub, tmp_path, capsys):
    """Of a preset, and of a model saved from it: the same network."""
    fields = info(capsys, f"hub:{preset}")
    assert fields["classes"].startswith("19 of cityscapes: road")
    assert fields["parameters"] == f"{hub.model.count_params():,}"
    assert (fields["output stride"], fields["input"]) == ("32", f"{SIDE}x{SIDE}")
    assert "MB of weights" in fields["memory"]
    saved = info(capsys, hub.save(tmp_path / "mine"))
    assert fields.items() - saved.items() == {("model", f"hub:{preset}")}


# Saving


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_saved_and_opened_without_the_preset(hub, tmp_path, monkeypatch, dtype):
    folder = hub.save(tmp_path / "mine", dtype=dtype)
    monkeypatch.setattr(keras_hub.models.ImageSegmenter, "from_preset", None)
    again = SemanticSegmentation(folder)
    assert again.config == hub.config
    assert again.label_set == hub.label_set
    one, other = hub.segment_image(IMAGES[0]), again.segment_image(IMAGES[0])
    if dtype == "float32":
        np.testing.assert_array_equal(one.grid.logits, other.grid.logits)
    else:
        assert (one.labels == other.labels).mean() > 0.95
    with pytest.raises(ConfigError, match="output_stride cannot be changed for a hub: model"):
        SemanticSegmentation(folder, output_stride=8)


def test_variables_have_names_of_their_own(hub):
    named = named_variables(hub.model)
    assert len(named) == len(hub.model.weights)
    assert "logits/semantic/weights" in named
    assert (
        "encoder/hierarchical_encoder_0_0/seg_former_multihead_attention_0/dense_1/kernel" in named
    )
    other = build_model(hub.config.replace(num_classes=2, input_size=(96, 96)))
    assert list(named_variables(other)) == list(named)


def test_a_config_of_another_version_is_refused(hub, tmp_path):
    folder = hub.save(tmp_path / "mine")
    values = json.loads((folder / "config.json").read_text())
    values["network"]["config"]["projection_filters"] = "many"
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(WeightsError, match="was saved by another version of KerasHub"):
        SemanticSegmentation(folder)


# Training


@pytest.mark.slow
def test_one_step_of_training(hub):
    """With other classes; weights of the same role come along."""
    import keras

    from easyseg.weights.transfer import transfer

    model = build_model(hub.config.replace(num_classes=3))
    report = transfer(hub.model, model)
    assert {name.rsplit("/", 1)[0] for name in report.new} == {"logits/semantic"}
    before = {name: np.array(v) for name, v in named_variables(model).items()}
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255),
        jit_compile=False,
    )
    ground_truth = np.repeat(np.array([[0], [2]], np.int32), SIDE * SIDE, 1).reshape(2, SIDE, SIDE)
    ground_truth[:, :4] = 255
    loss = model.train_on_batch(IMAGES, ground_truth)
    after = named_variables(model)
    for variable in model.trainable_variables:
        assert np.isfinite(variable).all(), variable.path
    same = [name for name, old in before.items() if np.array_equal(old, after[name])]
    keys = [n for n in same if "attention" in n and n.endswith("/bias")]  # softmax ignores these
    assert same == keys
    assert np.isfinite(loss)
    assert model(IMAGES).dtype == "float32"


@pytest.mark.slow
def test_fine_tuning(hub, tmp_path):
    """The same call as for easyseg's own networks: a frozen phase, all layers, an open model."""
    data = tmp_path / "squares"
    rng = np.random.default_rng(3)
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (data / kind / split).mkdir(parents=True)
        for i in range(2):
            ground_truth = np.zeros((SIDE, SIDE), np.uint8)
            ground_truth[8 * i : 30, 4:20] = 1
            image = np.where(ground_truth[..., None], (30, 30, 220), 90) + rng.integers(0, 20, (3,))
            cv2.imwrite(str(data / f"images/{split}/{i}.png"), image.astype(np.uint8))
            cv2.imwrite(str(data / f"masks/{split}/{i}.png"), ground_truth)
    fresh = hub.model.get_weights()
    hub.model.set_weights([w + rng.normal(0, 0.01, w.shape).astype(w.dtype) for w in fresh])
    mine = hub.fine_tune(  # as if it had been trained: random encoders are not frozen
        data,
        run_dir=tmp_path / "run",
        epochs=2,
        freeze_backbone_epochs=1,
        batch_size=2,
        crop=SIDE,
        augment=["flip"],
        progress=False,
    )
    assert len(mine.label_set) == 2
    rows = (tmp_path / "run/results.csv").read_text().splitlines()
    assert [row.split(",")[1] for row in rows] == ["phase", "frozen", "all"]
    before, after = named_variables(hub.model), named_variables(mine.model)
    changed = [n for n in after if n in before and "encoder" in n]
    assert any(not np.array_equal(before[n], after[n]) for n in changed)
    hub.model.set_weights(fresh)
    assert mine.segment_image(IMAGES[0].astype(np.uint8)).labels.shape == (SIDE, SIDE)


# Bad input


def test_unknown_presets_say_what_is_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'segformer_b0_ade20k_512'"):
        SemanticSegmentation("hub:segformer_b0_ade20k")


def test_without_keras_hub(monkeypatch, hub, tmp_path):
    folder = hub.save(tmp_path / "mine")
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    for model in ("hub:segformer_b0_ade20k_512", folder):
        with pytest.raises(InputError) as caught:
            SemanticSegmentation(model)
        assert str(caught.value) == (
            'hub: models need KerasHub, which is not installed: pip install "easyseg[hub]".'
        )


def test_downloads_that_fail(monkeypatch):
    def fail(preset):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(keras_hub.models.ImageSegmenter, "from_preset", fail)
    with pytest.raises(DownloadError) as caught:
        SemanticSegmentation("hub:segformer_b0_ade20k_512")
    assert str(caught.value).startswith("hub:segformer_b0_ade20k_512 is not available (no route).")


def test_folders_that_are_no_preset(tmp_path, task):
    with pytest.raises(WeightsError, match="is not available"):
        SemanticSegmentation(f"hub:{tmp_path}")
    task.backbone.image_encoder.save_to_preset(str(tmp_path / "encoder"))
    with pytest.raises(WeightsError, match="is not available"):
        SemanticSegmentation(f"hub:{tmp_path / 'encoder'}")


@pytest.mark.parametrize("options", [{"tile": 513}, {"scales": (0.5, 1.0)}, {"flip": True}])
def test_tiles_scales_and_mirroring_are_refused(hub, options):
    with pytest.raises(InputError, match="not available for a hub: model"):
        Predictor(hub.model, hub.label_set, options=InferenceOptions(**options))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"num_classes": 0}, "whole number from 1"),
        ({"input_size": (512, 256)}, r"a square .* got \(512, 256\)"),
        ({"input_size": (513, 513)}, "a multiple of 16"),
        ({"decoder": "none"}, "decoder cannot be changed for a hub: model"),
    ],
)
def test_configs_that_cannot_be_built(changes, rule):
    config = KerasHubConfig("x", 3, (64, 64), (1.0,) * 3, (0.0,) * 3, {})
    with pytest.raises(ConfigError, match=rule):
        config.replace(**changes)


def test_output_stride_is_refused_before_a_download():
    with pytest.raises(ConfigError, match="output_stride cannot be changed"):
        SemanticSegmentation("hub:segformer_b0_ade20k_512", output_stride=8)


def test_label_sets_of_keras_hubs_presets():
    from easyseg.models.kerashub.network import _label_set

    classes = {"ade20k": (150, "wall"), "cityscapes": (19, "road"), "pascalvoc": (21, "background")}
    families = (keras_hub.models.SegFormerImageSegmenter, keras_hub.models.DeepLabV3ImageSegmenter)
    for name in (name for family in families for name in family.presets):
        count, first = next(row for word, row in classes.items() if word in name)
        labels = _label_set(name, count)
        assert len(labels) == count
        assert labels.names[0] == first
