"""What every entry of a table must do; a new entry needs no new test."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from easyseg import ModelConfig, Segmentation, build_model, load_label_set
from easyseg.errors import InputError, OutputError, WeightsError
from easyseg.results.logit_grid import LogitGrid
from easyseg.results.outputs import OUTPUTS, Document, Output
from easyseg.utils.resources import pretrained_path
from easyseg.weights.manifest import weight_sets
from easyseg.weights.readers import FILE_FORMATS, load_weights

MODELS = list(dict.fromkeys(entry.model for entry in weight_sets().values()))


@pytest.mark.parametrize("config", MODELS, ids=lambda c: f"{c.backbone}-{c.num_classes}")
def test_network_of_a_weight_set(config):
    """An entry of the manifest describes a network with as many classes as its label set."""
    labels = {e.labels for e in weight_sets().values() if e.model == config}
    assert {len(load_label_set(name)) for name in labels} == {config.num_classes}
    assert build_model(config).output_shape == (None, None, None, config.num_classes)


@pytest.mark.parametrize("name", sorted(p.stem for p in pretrained_path("labels").glob("*.json")))
def test_label_set(name):
    label_set = load_label_set(name)
    assert label_set.name == name
    assert label_set.from_dict(label_set.to_dict()) == label_set
    assert hash(label_set) == hash(load_label_set(name))


@pytest.fixture
def result():
    labels = np.repeat(np.uint8([[0, 15, 12]]), 40, axis=0).repeat(20, axis=1)
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    grid = LogitGrid(np.eye(21, dtype=np.float32)[labels], np.arange(40.0), np.arange(60.0))
    return Segmentation(labels, load_label_set("voc"), image, grid=grid)


IMAGES = [kind for kind in OUTPUTS if isinstance(OUTPUTS[kind], Output)]


@pytest.mark.parametrize("kind", IMAGES)
def test_image(kind, result, tmp_path):
    """It draws at the image's size, writes what it can keep, and refuses the rest."""
    drawn = result.plot(kind)
    assert drawn.shape in {(40, 60, 3), (40, 120, 3)}  # the wide one shows the image too
    assert drawn.dtype == np.uint8
    assert result.plot(kind, legend=True).shape == drawn.shape
    with Image.open(result.save(tmp_path / "a.png", kind)) as image:
        assert image.size == drawn.shape[1::-1]
    if OUTPUTS[kind].suffixes:
        with pytest.raises(OutputError, match="stores its values exactly"):
            result.save(tmp_path / "a.jpg", kind)
        assert not (tmp_path / "a.jpg").exists()


@pytest.mark.parametrize("kind", [kind for kind in OUTPUTS if kind not in IMAGES])
def test_document(kind, result, tmp_path):
    """It writes bytes under each of its extensions, is the same each time, and is no image."""
    output = OUTPUTS[kind]
    assert isinstance(output, Document)
    assert len(output.suffixes) > 0
    for suffix in output.suffixes:
        path = result.save(tmp_path / f"a{suffix}", kind)
        content = path.read_bytes()
        assert content == result.save(path, kind).read_bytes()
        if "json" in suffix:
            assert isinstance(json.loads(content), dict)
    with pytest.raises(OutputError, match=r"is a document\. Use "):
        result.save(tmp_path / "a.png", kind)
    with pytest.raises(InputError, match="a document, not an image; save it as"):
        result.plot(kind)
    assert {p.suffix for p in tmp_path.iterdir()} == set(output.suffixes)


@pytest.mark.parametrize("file_format", FILE_FORMATS)
def test_file_format(file_format, tmp_path):
    """A damaged file is an error that names it, and the network keeps its weights."""
    path = tmp_path / "damaged.weights"
    path.write_bytes(b"not weights")
    model = build_model(
        ModelConfig(backbone="mobilenetv2", depth_multiplier=0.1, head_channels=8, num_classes=2)
    )
    before = [v.numpy().copy() for v in model.variables]
    with pytest.raises(WeightsError, match="damaged"):
        load_weights(model, path, file_format)
    for kept, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(kept, variable.numpy())
