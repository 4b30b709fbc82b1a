"""`SemanticSegmentation.create`: untrained networks."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers.tiny_backbone import register_tiny

from easyseg import LabelSet, SemanticSegmentation, load_label_set
from easyseg.errors import ConfigError, InputError, UnknownNameError, WeightsError

TINY = {"head_channels": 8, "input_size": (65, 65)}
IMAGE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    register_tiny(monkeypatch)


def test_it_segments_is_saved_and_opens_again(tmp_path):
    names = ["background", "road", "car"]
    seg = SemanticSegmentation.create(
        "tiny", class_names=names, attention="cbam", dropout={"decoder": 0.2}, **TINY
    )
    assert seg.config.attention == "cbam"
    assert seg.label_set.names == tuple(names)
    assert len(set(seg.label_set.palette)) == 3
    assert repr(seg).startswith("<SemanticSegmentation tiny: 3 classes")
    result = seg.segment_image(IMAGE, tmp_path / "a.png")
    assert result.labels.shape == (50, 70)
    again = SemanticSegmentation(seg.save(tmp_path / "net"))
    assert (again.config, again.label_set) == (seg.config, seg.label_set)
    np.testing.assert_array_equal(again.segment_image(IMAGE).labels, result.labels)


@pytest.mark.parametrize("number", [1, 2, np.int64(2)])
def test_number_of_classes(number):
    seg = SemanticSegmentation.create("tiny", num_classes=number, decoder="none", **TINY)
    assert seg.label_set.names == tuple(f"class {i}" for i in range(number))
    assert seg.model.output_shape[-1] == seg.config.num_classes == number


@pytest.mark.parametrize("names", [("a", "b", "c"), ["a"], load_label_set("voc")])
def test_class_names(names):
    seg = SemanticSegmentation.create("tiny", class_names=names, decoder="none", **TINY)
    assert seg.label_set.names == tuple(getattr(names, "names", names))
    if isinstance(names, LabelSet):
        assert seg.label_set is names


@pytest.mark.parametrize("number", [0, -1, 2.0, "road", ["road"], True])
def test_numbers_of_classes_that_are_refused(number):
    with pytest.raises(InputError, match=r"must be a whole number.*; names go into class_names"):
        SemanticSegmentation.create("mobilenetv2", num_classes=number)


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        (2, r"must be a list or a LabelSet, such as \['road', 'car'\]"),
        *((names, "must be a list of names such as") for names in ("road", [], [1, 2])),
    ],
)
def test_class_names_that_are_refused(names, rule):
    with pytest.raises(InputError, match=rule):
        SemanticSegmentation.create("mobilenetv2", class_names=names)


@pytest.mark.parametrize("classes", [{}, {"num_classes": 2, "class_names": ["a", "b"]}])
def test_classes_are_given_once(classes):
    with pytest.raises(InputError, match="give either num_classes, such as num_classes=3, or"):
        SemanticSegmentation.create("mobilenetv2", **classes)


def test_what_is_refused():
    create = SemanticSegmentation.create
    with pytest.raises(InputError, match=r"\['a'\] more than once; rename one"):
        create(class_names=["a", "b", "a"])
    with pytest.raises(ConfigError, match="Did you mean 'output_stride'"):
        create(num_classes=2, output_strid=8)
    with pytest.raises(ConfigError, match="Did you mean 'xception65'"):
        create("xception66", num_classes=2)
    with pytest.raises(UnknownNameError, match="Did you mean 'paper'"):
        create(num_classes=2, preset="papers")
    with pytest.raises(InputError, match="no ImageNet weights for backbone 'tiny'"):
        create("tiny", num_classes=2, weights="imagenet", **TINY)


def test_an_array_of_two_channels_is_refused():
    seg = SemanticSegmentation.create("tiny", num_classes=2, decoder="none", **TINY)
    with pytest.raises(
        InputError, match=r"Expected an array \(H, W, 3\) RGB.* got shape \(5, 5, 2\)"
    ):
        seg.segment_image(np.zeros((5, 5, 2), np.uint8))


def test_a_preset():
    seg = SemanticSegmentation.create(
        "mobilenetv3_small", num_classes=2, preset="mobile", input_size=(65, 65)
    )
    assert (seg.config.backbone, seg.config.head) == ("mobilenetv3_small", "lraspp")
    assert seg.segment_image(IMAGE).labels.max() < 2


@pytest.mark.slow
def test_imagenet_weights_from_a_file(tmp_path):
    """What Keras's download is: a file of the model without its classifier."""
    source = keras.applications.MobileNetV3Small(
        include_top=False, weights=None, input_shape=(224, 224, 3)
    )
    source.save_weights(tmp_path / "a.weights.h5")
    seg = SemanticSegmentation.create(
        "keras_mobilenetv3small",
        num_classes=2,
        weights=tmp_path / "a.weights.h5",
        head_channels=8,
        input_size=(65, 65),
    )
    ours = seg.model.get_layer("keras_mobilenetv3small-conv").kernel
    np.testing.assert_array_equal(ours, source.get_layer("conv").kernel)
    with pytest.raises(WeightsError, match="Cannot load weights="):
        SemanticSegmentation.create(
            "keras_mobilenetv3small", num_classes=2, weights=tmp_path / "none.weights.h5"
        )
