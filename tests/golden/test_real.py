"""Real weights on real images: what Google's code gives with the same checkpoint."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.paths import HALF_TARBALL
from PIL import Image

from easyseg import SemanticSegmentation
from easyseg.evaluation.metrics import ConfusionMatrix

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
