"""The second embedded model: ADE20K's names, and one for every pixel."""

from __future__ import annotations

import os

import numpy as np
import pytest

import easyseg
from easyseg import SemanticSegmentation
from easyseg.pixellib.semantic import semantic_segmentation
from easyseg.results.label_set import load_label_set
from easyseg.utils.resources import pretrained_path
from easyseg.weights.exported import read_exported, weights_sha256

BUNDLE = pretrained_path("scenes")


@pytest.fixture(scope="module")
def scenes():
    return SemanticSegmentation("scenes")


@pytest.fixture(scope="module")
def astronaut():
    data = pytest.importorskip("skimage", reason="its images: pip install easyseg[demo]").__path__
    return os.path.join(data[0], "data", "astronaut.png")  # noqa: PTH118


def test_it_is_small():
    assert (BUNDLE / "model.weights.h5").stat().st_size <= 5_000_000
    assert (BUNDLE / "model.onnx").stat().st_size <= 4_500_000
    assert "agree" in (BUNDLE / "card.md").read_text("utf-8")


def test_its_exported_file_has_its_weights(scenes, astronaut):
    file = read_exported(BUNDLE / "model.onnx")
    assert file.sha256 == weights_sha256(BUNDLE / "model.weights.h5"), "export it again"
    keras = SemanticSegmentation("scenes", runtime="keras")
    labels = scenes.segment_image(astronaut).labels
    assert scenes._opened.predictor.runtime == "onnxruntime"
    assert (labels == keras.segment_image(astronaut).labels).mean() >= 0.99


def test_its_classes_are_ade20ks(scenes):
    ade20k = load_label_set("ade20k")
    colors = dict(zip(ade20k.names, ade20k.palette, strict=True))
    assert scenes.label_set.names[0] == "other"
    for name, color in zip(scenes.label_set.names[1:], scenes.label_set.palette[1:], strict=True):
        assert colors[name] == color
    assert len(scenes.label_set) == 40
    assert scenes.label_set.names[1:32] == ade20k.names[1:32]  # with the same ids
    assert scenes.label_set.ids_of("couch") == scenes.label_set.ids_of("sofa")
    assert "scenes" in easyseg.list_models()


def test_it_finds_the_person(scenes, astronaut):
    result = scenes.segment_image(astronaut)
    assert dict(zip(result.class_names, result.ratios, strict=True))["person"] > 0.25


def test_pixellib_segments_with_it(scenes, astronaut):
    segment = semantic_segmentation()
    segment.load_ade20k_model("scenes")
    values, image = segment.segmentAsAde20k(astronaut)
    result = scenes.segment_image(astronaut)
    assert values["class_names"] == result.class_names
    person = values["class_names"].index("person")
    assert (values["masks"][person] == result.masks["person"]).all()
    assert image.shape == (*result.labels.shape, 3)
    assert np.isclose(sum(values["ratios"]), 100)
