"""Options of a data set are checked when made, and travel with it."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from helpers.make_dataset import SIZE, box, coco, folders, save, scene

from easyseg.datasets import DatasetOptions, open_dataset, open_with_options
from easyseg.datasets.check import check_dataset
from easyseg.errors import DatasetError, ImageTooLargeError, InputError, UnreadableImageError
from easyseg.results.label_set import LabelSet


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": "road,car"}, "must be a list of class names, such as"),
        ({"classes": [1, 2]}, "must be a list of class names"),
        ({"classes": 5}, "must be a list of class names"),
        ({"ignore": [1.5]}, "must be a list of class names or ids, such as"),
        ({"ignore": None}, "must be a list of class names or ids"),
        ({"max_pixels": 0}, "max_pixels=0 must be a whole number of pixels from 1"),
        ({"format": 3}, "must be a name such as 'coco', or None"),
    ],
)
def test_options_of_the_wrong_type(options, message):
    with pytest.raises(InputError, match=message):
        DatasetOptions(**options)


def test_options_become_tuples_and_plain_values():
    options = DatasetOptions(classes=(name for name in ("a", "b")), ignore="b")
    assert options == DatasetOptions(classes=["a", "b"], ignore=["b"])
    assert options.to_dict() == {"classes": ["a", "b"], "ignore": ["b"]}
    assert DatasetOptions(**options.to_dict()) == options
    assert DatasetOptions().to_dict() == {}
    labels = LabelSet("mine", ("a",), ((1, 2, 3),))
    assert DatasetOptions(classes=labels).label_set is labels
    assert DatasetOptions(classes=labels).names == ("a",)


def test_a_data_set_says_how_it_can_be_opened_again(tmp_path):
    root = folders(tmp_path / "mine")
    dataset = open_dataset(root, classes=["ground", "box"], ignore=["ground"])
    again = open_with_options(dataset.source, dataset.options)
    assert again.label_set == dataset.label_set
    assert open_with_options(dataset, DatasetOptions()) is dataset
    assert open_dataset(open_dataset(root), ignore=[0]).source is None


def voc(root):
    folders(root, 4, images="JPEGImages", masks="SegmentationClass")
    return root


def ade(root):
    for i in range(3):
        image, mask = scene(i)
        save(root / f"images/training/ADE_train_0000000{i}.jpg", image)
        save(root / f"annotations/training/ADE_train_0000000{i}.png", mask)
    return root


def camvid(root):
    for i in range(3):
        image, mask = scene(i)
        save(root / f"train/0001TP_00000{i}.png", image)
        save(root / f"trainannot/0001TP_00000{i}.png", mask)
    return root


def cityscapes(root):
    for i in range(3):
        image, mask = scene(i)
        name = f"train/bonn/bonn_00000{i}_000019"
        save(root / f"leftImg8bit/{name}_leftImg8bit.png", image)
        save(root / f"gtFine/{name}_gtFine_labelIds.png", mask + np.uint8(7))
    return root


def yolo(root):
    for i in range(3):
        save(root / f"images/{i}.png", scene(i)[0])
        (root / "labels").mkdir(exist_ok=True)
        (root / f"labels/{i}.txt").write_text("0 .1 .1 .5 .1 .5 .6\n")
    (root / "data.yaml").write_text("train: images\nnames: [a]\n")
    return root


def labelme(root):
    """The image is within the JSON, and one shape is a PNG."""
    encoded = [base64.b64encode(save(root / "x.png", part).read_bytes()).decode()
               for part in (scene(1)[0], scene(1)[1] * np.uint8(255))]  # fmt: skip
    (root / "x.png").unlink()
    shape = {"label": "a", "points": [[0, 0], [9, 9]], "shape_type": "mask", "mask": encoded[1]}
    document = {"shapes": [shape], "imagePath": "none.png", "imageData": encoded[0]}
    (root / "0.json").write_text(json.dumps(document))
    return root


FORMATS = {
    "folders": folders,
    "voc": voc,
    "ade20k": ade,
    "camvid": camvid,
    "cityscapes": cityscapes,
    "yolo": yolo,
    "labelme": labelme,
    "coco": lambda root: coco(root, [box(1, 1, 2, 2, 9, 9), box(2, 2, 2, 2, 9, 9)]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_max_pixels_holds_for_all_that_a_data_set_reads(tmp_path, monkeypatch, name):
    root = FORMATS[name](tmp_path)
    pixels = SIZE[0] * SIZE[1]
    monkeypatch.setenv("EASYSEG_MAX_PIXELS", "10")
    dataset = open_dataset(root, max_pixels=pixels)
    assert dataset.format == name
    assert not check_dataset(dataset).scan.errors
    sample = dataset.split("all")[0]
    assert sample.read_mask().shape == SIZE
    again = open_with_options(dataset.source, DatasetOptions(**dataset.options.to_dict()))
    assert again.split("all")[0].read_image().shape == (*SIZE, 3)
    monkeypatch.setenv("EASYSEG_MAX_PIXELS", str(pixels))
    smaller = f"max_pixels={pixels} "
    with pytest.raises((DatasetError, ImageTooLargeError, UnreadableImageError), match=smaller):
        open_dataset(root, max_pixels=pixels - 1).split("all")[0].read_image()


def test_larger_masks_than_max_pixels_are_refused(tmp_path):
    root = folders(tmp_path, 3)
    for path in (root / "masks").iterdir():
        save(path, np.kron(scene(int(path.stem))[1], np.ones((2, 2), np.uint8)))
    pixels = SIZE[0] * SIZE[1]
    with pytest.raises(DatasetError, match=rf"masks.*raise the limit: max_pixels={4 * pixels} "):
        open_dataset(root, max_pixels=pixels)
    assert not check_dataset(open_dataset(root, max_pixels=4 * pixels)).scan.errors
