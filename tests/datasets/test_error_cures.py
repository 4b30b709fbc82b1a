"""Each error of a data set: its message, and that the cure it names works."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from helpers.make_dataset import SIZE, box, coco, folders, save, scene

from easyseg.datasets import open_dataset
from easyseg.datasets.check import check_dataset
from easyseg.datasets.check.sheet import dataset_sheet
from easyseg.errors import DatasetError

MASK = np.zeros(SIZE, np.uint8)


def error(root, **options):
    """What opening or checking the data set says."""
    with pytest.raises(DatasetError) as caught:
        check_dataset(open_dataset(root, **options)).raise_errors()
    return str(caught.value)


def works(root, **options):
    report = check_dataset(open_dataset(root, **options))
    assert report.errors == []
    return report.dataset


# Masks that are images


def test_one_mask_in_colors_among_ids(tmp_path):
    root = folders(tmp_path)
    colors = np.zeros((*SIZE, 3), np.uint8)
    colors[..., 1] = scene(3)[1]
    save(root / "masks/3.png", colors)
    assert "masks/3.png is in colors, but the other masks hold ids; save it as they are" in error(
        root
    )
    save(root / "masks/3.png", scene(3)[1])
    works(root)


def test_one_gray_mask_among_black_and_white(tmp_path):
    root = folders(tmp_path, 40, value=255)
    gray = np.linspace(0, 255, MASK.size).astype(np.uint8).reshape(SIZE)
    save(root / "masks/1.png", gray)  # not among those that are read to infer the encoding
    message = error(root, classes=["no", "yes"])
    assert "masks/1.png is not black and white like the other masks: 75% of it is gray" in message
    save(root / "masks/1.png", scene(1)[1] * np.uint8(255))
    works(root, classes=["no", "yes"])


def test_more_colors_than_names(tmp_path):
    root = folders(tmp_path)
    palette = np.array([(0, 0, 0), (9, 9, 90)], np.uint8)
    for i in range(10):
        save(root / f"masks/{i}.png", palette[scene(i)[1]])
    message = error(root, classes=["a", "b", "c"])
    assert "the masks have 2 colors (#000000, #09095a), but 3 classes are named" in message
    (root / "class_dict.csv").write_text("name,r,g,b\na,0,0,0\nb,9,9,90\n")
    assert works(root).label_set.names == ("a", "b")


@pytest.mark.parametrize("values", [np.int32(70_000), np.float32(0.5)])
def test_values_that_are_not_ids(tmp_path, values):
    root = folders(tmp_path)
    (root / "masks/3.png").unlink()
    save(root / "masks/3.tif", scene(3)[1] * values)
    assert "3.tif has values other than 0 to 65535; save class ids as PNG" in error(
        root, classes=["a", "b"]
    )
    (root / "masks/3.tif").unlink()
    save(root / "masks/3.png", scene(3)[1])
    works(root)


def test_too_many_classes(tmp_path):
    root = folders(tmp_path)
    names = [f"n{i}" for i in range(256)]
    assert "256 classes are too many; keep at most 255 of them" in error(root, classes=names)
    works(root, classes=names[:255])


def test_a_file_of_names_that_is_empty_or_unreadable(tmp_path):
    root = folders(tmp_path)
    (root / "classes.txt").touch()
    assert "classes.txt names no classes; write them into it, or remove it" in error(root)
    (root / "classes.txt").write_text("ground\nbox\n")
    assert works(root).label_set.names == ("ground", "box")


# Formats by name, where the files are not there


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ade20k", "has no images in images/training with masks in annotations/training"),
        ("voc", "has no JPEGImages and SegmentationClass; give the folder that holds both"),
        ("cityscapes", r"has no gtFine/*/*/*_gtFine_labelIds.png; unpack gtFine_trainvaltest.zip"),
        ("yolo", "has no data.yaml with `names:`; write the classes into it"),
        ("coco", "has no JSON with images, annotations, categories; give the COCO file"),
        ("folders", "none with the same name in folders that fit; name a mask as its"),
    ],
)
def test_a_format_by_name_without_its_files(tmp_path, name, message):
    assert message in error(tmp_path, format=name)


def test_a_file_in_no_known_format(tmp_path):
    file = folders(tmp_path) / "masks/3.png"
    assert "is not a data set in a known format (coco, yolo" in error(file)
    works(file.parents[1])


def test_cityscapes_without_images(tmp_path):
    stem = "ulm_000001_000019"
    save(tmp_path / f"gtFine/val/ulm/{stem}_gtFine_labelIds.png", MASK + 7)
    (tmp_path / "leftImg8bit").mkdir()
    assert "has no images for its masks; unpack leftImg8bit there" in error(tmp_path)
    save(tmp_path / f"leftImg8bit/val/ulm/{stem}_leftImg8bit.png", scene(1)[0])
    works(tmp_path)


# COCO


def edited(root, **changes):
    """The COCO file with other parts."""
    path = root / "instances.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_coco_files_that_are_not(tmp_path):
    root = coco(tmp_path, [box(1, 1, 2, 2, 20, 20), box(2, 2, 2, 2, 20, 20)])
    whole = json.loads((root / "instances.json").read_text())
    edited(root, categories=[])
    assert "instances.json has no categories; export it with the classes" in error(root)
    edited(root, categories=[{"name": "cat"}])
    assert "the id of category 1 in " in error(root)
    edited(root, categories=[{"id": i, "name": f"n{i}"} for i in range(1, 256)])
    assert "256 classes are too many; keep at most 255 of them" in error(root)
    edited(root, **whole)
    works(root)


# YOLO


def test_yolo_files_that_are_not(tmp_path):
    for i in range(2):
        save(tmp_path / f"images/{i}.png", scene(i)[0])
    (tmp_path / "data.yaml").write_text("names: [cat]")
    assert "has no labels/*.txt for its images; export it again" in error(tmp_path, format="yolo")
    (tmp_path / "labels").mkdir()
    for i in range(2):
        (tmp_path / f"labels/{i}.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5")
    (tmp_path / "data.yaml").write_text("names: [cat")
    message = error(tmp_path)
    assert "data.yaml is not YAML (" in message
    assert message.endswith("; correct it.")
    (tmp_path / "data.yaml").write_text("names: [cat]")
    works(tmp_path)


# labelme


def labelme(root, *, points=((1, 1), (9, 1), (9, 9)), label="cat"):
    for name in ("a", "b"):
        save(root / f"{name}.png", scene(1)[0])
        shape = {"label": label, "points": points, "shape_type": "polygon"}
        content = {"shapes": [shape], "imagePath": f"{name}.png"}
        (root / f"{name}.json").write_text(json.dumps(content))
    return root


def test_labelme_files_that_are_not(tmp_path):
    root = labelme(tmp_path, points=(("x", 1), (9, 1), (9, 9)))
    message = error(root)
    assert "shape 1 of" in message
    assert "has a corner that is not a number; give pixels, or remove the shape" in message
    labelme(root)
    works(root)
    for name in ("a", "b"):
        (root / f"{name}.png").rename(root / f"{name}.bak")
    assert "has labelme files, but not their images (the first is a.json)" in error(root)
    (root / "a.bak").rename(root / "a.png")
    works(root)
    (root / "b.json").write_text('{"shapes": 5, "imagePath": "b.png"}')
    assert "1 files are left out, the first: " in " ".join(works(root).notes)
    (root / "a.json").write_text('{"shapes": 5, "imagePath": "a.png"}')
    assert "a.json has no list of 'shapes'; export it again" in error(root)


# Sheets


def test_a_sheet_of_nothing(tmp_path):
    root = folders(tmp_path)
    dataset = open_dataset(root)
    shutil.rmtree(root / "images")
    with pytest.raises(DatasetError, match="has no sample that can be read; check its files"):
        dataset_sheet(dataset)
