"""Real weights on real images: what Google's code gives with the same checkpoint."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from helpers.paths import HALF_TARBALL
from PIL import Image

from easyseg import SemanticSegmentation
from easyseg.evaluation.metrics import ConfusionMatrix
from easyseg.export.options import FORMATS
from easyseg.inference.preprocess import letterbox
from easyseg.inference.runtimes import RUNTIMES, RuntimeSpec, installed
from easyseg.models.build import logits_model
from easyseg.results.logit_grid import LogitGrid

IMAGES = ("beach", "bikes", "dog", "horses", "person", "rider")


@pytest.fixture(scope="module")
def seg8(voc_home):
    return SemanticSegmentation("mobilenetv2.voc", output_stride=8, cache_dir=voc_home)


def pixels_of(path):
    """As Google's code reads them: "bikes" has an Adobe RGB profile, which that does not know."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def labels_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("output_stride", [16, 8])
def test_official_labels(shared, seg, seg8, record_property, name, output_stride):
    folder = shared / "golden/real"
    image = pixels_of(folder / f"{name}.png")
    actual = (seg if output_stride == 16 else seg8).segment_image(image).labels
    official = labels_of(folder / f"{name}.mnv2_os{output_stride}.png")
    assert actual.shape == official.shape
    record_property("labels", (actual == official).mean())
    assert (actual == official).mean() >= 0.999


@pytest.mark.parametrize("name", IMAGES)
def test_official_labels_of_the_half_width_network(shared, half_width, record_property, name):
    folder = shared / "golden/real"
    actual = half_width.segment_image(pixels_of(folder / f"{name}.png")).labels
    agreement = (actual == labels_of(folder / f"{name}.dm05_os16.png")).mean()
    record_property("labels", agreement)
    assert agreement >= 0.999


@pytest.fixture(scope="module")
def half_width(shared, tmp_path_factory):
    from easyseg.weights.loader import import_file

    home = tmp_path_factory.mktemp("half")
    import_file("mobilenetv2_050.voc", HALF_TARBALL, cache_dir=home)
    return SemanticSegmentation("mobilenetv2_050.voc", cache_dir=home)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # other people's converters
@pytest.mark.parametrize(
    ("runtime", "file_format"),
    [(n, f) for n, entry in RUNTIMES.items() if installed(n) for f in entry.file_formats],
)
def test_every_runtime_gives_the_labels_of_keras(
    shared, seg, record_property, runtime, file_format, tmp_path
):
    path = tmp_path / f"network{FORMATS[file_format].extension}"
    seg.export(path, output="logits", check=False)
    size = seg.config.input_size
    run = importlib.import_module(RUNTIMES[runtime].module).start(RuntimeSpec(path, size))
    by_keras, equal = logits_model(seg.model), []
    for name in IMAGES:
        letterboxed = letterbox(pixels_of(shared / f"golden/real/{name}.png"), size)
        pixels = np.rint(letterboxed.padded)[None]  # which LiteRT rounds
        grids = [np.asarray(network(pixels))[0] for network in (run, by_keras)]
        labels = [LogitGrid(g, *letterboxed.on_grid(g.shape[:2])).labels() for g in grids]
        equal.append((labels[0] == labels[1]).mean())
    record_property("labels", min(equal))
    assert min(equal) >= 0.9999


@pytest.mark.slow
@pytest.mark.parametrize(
    ("output_stride", "miou", "accuracy"), [(16, 0.6968, 0.9303), (8, 0.7006, 0.9317)]
)
def test_mean_iou_on_voc_val(shared, seg, seg8, record_property, output_stride, miou, accuracy):
    folder = shared / "data/voc"
    names = (folder / "ImageSets/Segmentation/val.txt").read_text().split()
    images = (folder / f"JPEGImages/{name}.jpg" for name in names)
    results = (seg if output_stride == 16 else seg8).segment_images(images)
    matrix = ConfusionMatrix(21, ignore_index=255)
    for name, result in zip(names, results, strict=True):
        matrix.update(labels_of(folder / f"SegmentationClass/{name}.png"), result.labels)
    record_property("miou", matrix.mean_iou())
    assert abs(matrix.mean_iou() - miou) <= 0.002
    assert abs(matrix.pixel_accuracy - accuracy) <= 0.002
