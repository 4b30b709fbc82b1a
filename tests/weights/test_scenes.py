"""The second embedded model: ADE20K's names, and one for every pixel."""

from __future__ import annotations

import numpy as np
import pytest

import easyseg
from easyseg import SemanticSegmentation
from easyseg.pixellib.semantic import semantic_segmentation
from easyseg.results.label_set import load_label_set


@pytest.fixture(scope="module")
def scenes():
    return SemanticSegmentation("scenes")


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


def test_it_finds_the_person(scenes, samples):
    result = scenes.segment_image(samples[0])
    assert dict(zip(result.class_names, result.ratios, strict=True))["person"] > 0.25


def test_pixellib_segments_with_it(scenes, samples):
    segment = semantic_segmentation()
    segment.load_ade20k_model("scenes")
    values, image = segment.segmentAsAde20k(samples[0])
    result = scenes.segment_image(samples[0])
    assert values["class_names"] == result.class_names
    person = values["class_names"].index("person")
    assert (values["masks"][person] == result.masks["person"]).all()
    assert image.shape == (*result.labels.shape, 3)
    assert np.isclose(sum(values["ratios"]), 100)
