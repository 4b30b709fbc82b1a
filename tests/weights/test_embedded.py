"""Both embedded models are small, and their two files hold the same network."""

from __future__ import annotations

import pytest

from easyseg import SemanticSegmentation
from easyseg.utils.resources import pretrained_path
from easyseg.weights.exported import read_exported, weights_sha256


@pytest.mark.parametrize(("name", "metric"), [("mini", "mIoU"), ("scenes", "agree")])
def test_it_is_small(name, metric):
    bundle = pretrained_path(name)
    assert (bundle / "model.weights.h5").stat().st_size <= 5_000_000
    assert (bundle / "model.onnx").stat().st_size <= 4_500_000
    assert metric in (bundle / "card.md").read_text("utf-8")


@pytest.mark.parametrize(("name", "equal"), [("mini", 0.995), ("scenes", 0.99)])
def test_its_exported_file_has_its_weights(name, equal, samples):
    bundle = pretrained_path(name)
    file = read_exported(bundle / "model.onnx")
    assert file.sha256 == weights_sha256(bundle / "model.weights.h5"), "export it again"
    exported, keras = SemanticSegmentation(name), SemanticSegmentation(name, runtime="keras")
    assert exported._opened.predictor.runtime == "onnxruntime"
    for image in samples:
        labels = exported.segment_image(image).labels
        assert (labels == keras.segment_image(image).labels).mean() >= equal
