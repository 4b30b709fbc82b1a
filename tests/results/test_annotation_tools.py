"""Documents for Label Studio and CVAT: what is written gives the masks back."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys
import zipfile
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from helpers.brush import decode_brush
from PIL import Image

from easyseg import LabelSet, Segmentation, load_label_set
from easyseg.results.logit_grid import LogitGrid
from easyseg.results.outputs.label_studio import encode_brush

DOG, PERSON = 12, 15
DATUMARO = """
import json, sys
import numpy as np
from datumaro import Dataset
dataset = Dataset.import_from(sys.argv[1], "cvat")
names = [label.name for label in dataset.categories()[next(iter(dataset.categories()))]]
masks = {
    item.id: {names[mask.label]: np.argwhere(mask.image).tolist() for mask in item.annotations}
    for item in dataset
}
json.dump({"names": names, "masks": masks}, sys.stdout)
"""


@pytest.fixture
def result():
    """Two classes with holes and specks, and void; with logits."""
    random = np.random.default_rng(3)
    labels = random.choice(np.uint8([0, DOG, PERSON]), (40, 60), p=[0.2, 0.3, 0.5])
    labels[:, 50:] = 0
    logits = 5 * np.eye(21, dtype=np.float32)[labels]
    grid = LogitGrid(logits, np.arange(40.0), np.arange(60.0))
    image = np.zeros((40, 60, 3), np.uint8)
    return Segmentation(labels, load_label_set("voc"), image, source="a/dog & me.jpg", grid=grid)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (40, 60), (200, 300)])
def test_brushes_are_read_back(size):
    random = np.random.default_rng(0)
    smooth = np.add.outer(np.arange(size[0]) // 7, np.arange(size[1]) // 9) % 3 == 0
    for mask in (random.random(size) > 0.5, smooth, np.ones(size, bool), np.zeros(size, bool)):
        read = decode_brush(encode_brush(mask)).reshape(*size, 4)
        np.testing.assert_array_equal(read, np.repeat(mask[..., None] * np.uint8(255), 4, axis=2))


@pytest.mark.slow
def test_brushes_are_label_studios_own(tmp_path):
    """Its converter reads them, and writes the same, but for a last byte of zeros."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", tmp_path,
         "label-studio-sdk>=2.0"],
        check=True,
    )  # fmt: skip
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        source = wheel.read("label_studio_sdk/converter/brush.py")
    (tmp_path / "brush.py").write_bytes(source)  # by itself it needs NumPy and Pillow alone
    spec = importlib.util.spec_from_file_location("brush", tmp_path / "brush.py")
    brush = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(brush)
    random = np.random.default_rng(0)
    for size in ((1, 1), (3, 5), (40, 60), (300, 400)):
        for mask in (random.random(size) > 0.9, np.ones(size, bool), np.zeros(size, bool)):
            ours = encode_brush(mask)
            rgba = np.repeat(mask[..., None] * np.uint8(255), 4, axis=2)
            np.testing.assert_array_equal(brush.decode_rle(ours).reshape(*size, 4), rgba)
            theirs = brush.mask2rle(mask * np.uint8(255))
            assert theirs[: len(ours)] == ours
            assert theirs[len(ours) :] in ([], [0])


def masks_of(task):
    """The masks of a task's prediction by label, `(H, W) bool`."""
    (prediction,) = task["predictions"]
    masks = {}
    for region in prediction["result"]:
        shape = region["original_height"], region["original_width"], 4
        rgba = decode_brush(region["value"]["rle"]).reshape(shape)
        assert (rgba == rgba[..., :1]).all()
        masks[region["value"]["brushlabels"][0]] = rgba[..., 0] == 255
    return masks


def test_a_task_for_label_studio(result, tmp_path):
    task = json.loads(result.save(tmp_path / "a.json", "label_studio").read_text("utf-8"))
    assert task == result.to_label_studio()
    assert task["data"] == {"image": "/data/local-files/?d=dog & me.jpg"}
    masks = masks_of(task)
    assert list(masks) == ["person", "dog"]
    for name, mask in masks.items():
        np.testing.assert_array_equal(mask, result.masks[name])
    regions = task["predictions"][0]["result"]
    assert len({region["id"] for region in regions}) == 2
    for region in regions:
        assert (region["from_name"], region["to_name"]) == ("tag", "image")
        mean = result.confidence[masks[region["value"]["brushlabels"][0]]].mean()
        assert region["score"] == pytest.approx(mean, abs=1e-4)


def test_own_names_of_a_labeling_setup(result):
    task = result.to_label_studio(
        image_url="s3://photos/1.jpg", field="photo", from_name="masks", to_name="img"
    )
    assert task["data"] == {"photo": "s3://photos/1.jpg"}
    for region in task["predictions"][0]["result"]:
        assert (region["from_name"], region["to_name"]) == ("masks", "img")
    remote = dataclasses.replace(result, source="https://example.com/a.jpg?size=1")
    assert remote.to_label_studio()["data"] == {"image": "https://example.com/a.jpg?size=1"}


def test_without_logits_nothing_has_a_score(result):
    (prediction,) = dataclasses.replace(result, grid=None).to_label_studio()["predictions"]
    assert len(prediction["result"]) == 2
    assert "score" not in json.dumps(prediction)


def cvat_masks(root):
    """The masks of a document's image by label, as CVAT reads them."""
    (image,) = root.iter("image")
    masks = {}
    for tag in image.iter("mask"):
        left, top, width, height = (int(tag.get(k)) for k in ("left", "top", "width", "height"))
        runs = [int(run) for run in tag.get("rle").split(",")]
        part = np.repeat(np.arange(len(runs)) % 2, runs).reshape(height, width)
        mask = np.zeros((int(image.get("height")), int(image.get("width"))), bool)
        mask[top : top + height, left : left + width] = part
        masks[tag.get("label")] = mask
    return masks


def test_a_document_for_cvat(result, tmp_path):
    path = result.save(tmp_path / "a.xml", "cvat")
    root = ET.parse(path).getroot()
    assert root.findtext("version") == "1.1"
    assert root.find("image").attrib == {
        "id": "0", "name": "dog & me.jpg", "width": "60", "height": "40"
    }  # fmt: skip
    labels = [(label.findtext("name"), label.findtext("color")) for label in root.iter("label")]
    assert labels == [("person", "#c08080"), ("dog", "#400080")]
    masks = cvat_masks(root)
    assert list(masks) == ["person", "dog"]
    for name, mask in masks.items():
        np.testing.assert_array_equal(mask, result.masks[name])
    (image,) = ET.fromstring(result.to_cvat(image_path="sub/1.jpg", image_id=7)).iter("image")
    assert (image.get("id"), image.get("name")) == ("7", "sub/1.jpg")


def test_the_least_area(result, tmp_path):
    result.save(tmp_path / "a.json", "label_studio", min_area=20)
    task = json.loads((tmp_path / "a.json").read_text("utf-8"))
    cvat = cvat_masks(ET.parse(result.save(tmp_path / "a.xml", "cvat", min_area=20)).getroot())
    studio = masks_of(task)
    assert studio.keys() == cvat.keys()
    for name, mask in studio.items():
        assert (mask != result.masks[name]).any()
        np.testing.assert_array_equal(mask, cvat[name])


def test_nothing_but_void(result, tmp_path):
    empty = dataclasses.replace(result, labels=np.zeros_like(result.labels), grid=None)
    assert empty.to_label_studio()["predictions"][0]["result"] == []
    assert cvat_masks(ET.fromstring(empty.to_cvat())) == {}


def test_names_that_xml_cannot_hold(result, tmp_path):
    label_set = LabelSet("mine", ("void", 'a<\x01>&"ß'), ((0, 0, 0), (1, 2, 3)), void=0)
    labels = np.ones((2, 3), np.uint8)
    odd = Segmentation(labels, label_set, np.zeros((2, 3, 3), np.uint8), source="caf\udce9.jpg")
    root = ET.parse(odd.save(tmp_path / "a.xml", "cvat")).getroot()
    assert list(cvat_masks(root)) == ['a<\ufffd>&"ß']
    assert root.find("image").get("name") == "caf\ufffd.jpg"


@pytest.mark.slow
def test_datumaro_reads_documents_for_cvat(result, tmp_path):
    packages, folder = tmp_path / "packages", tmp_path / "cvat"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--target", packages, "datumaro>=1.10"],
        check=True,
    )
    result.save(folder / "a.xml", "cvat")
    (folder / "images").mkdir()
    Image.fromarray(result.image).save(folder / "images/dog & me.jpg")
    read = subprocess.run(
        [sys.executable, "-c", DATUMARO, folder],
        env={"PYTHONPATH": str(packages), "HOME": str(tmp_path), "PATH": ""},
        check=True,
        capture_output=True,
        text=True,
    )
    values = json.loads(read.stdout)
    assert values["names"] == ["person", "dog"]
    (masks,) = values["masks"].values()
    for name in ("person", "dog"):
        assert masks[name] == np.argwhere(result.masks[name]).tolist()
