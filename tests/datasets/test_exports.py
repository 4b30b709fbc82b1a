"""What CVAT, Roboflow, labelme, Label Studio and the authors of known data sets write is read."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.make_dataset import coco, save, scene

from easyseg.datasets import IGNORE, open_dataset
from easyseg.datasets.check import check_dataset
from easyseg.errors import DatasetError

IMAGE, MASK = scene(0)
COLORS = np.array([(0, 0, 0), (255, 0, 0)], np.uint8)
TABLE = "name,r,g,b\nground,0,0,0\nbox,255,0,0\n"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def samples(root):
    """`{split: images}`, relative to the root."""
    dataset = open_dataset(root)
    return {
        split: sorted(str(s.image.relative_to(root)) for s in part)
        for split, part in dataset.splits.items()
    }


def error(root):
    with pytest.raises(DatasetError) as caught:
        open_dataset(root)
    return str(caught.value)


# Names of images and masks in the trees of known data sets
TREES = {
    "Carvana": ("train/0cdf_{}.jpg", "train_masks/0cdf_{}_mask.gif"),
    "ISIC": ("ISIC_Training_Input/ISIC_{}.jpg", "ISIC_GroundTruth/ISIC_{}_segmentation.png"),
    "LoveDA": ("Train/Rural/images_png/{}.png", "Train/Rural/masks_png/{}.png"),
    "DeepGlobe": ("train/{}9_sat.jpg", "train/{}9_mask.png"),
    "fastai's CamVid": ("images/a_{}.png", "labels/a_{}_P.png"),
    "RescueNet": ("train/org-img/{}.jpg", "train/org-label/{}_lab.png"),
    "COCO-Stuff": ("images/train2017/0{}.jpg", "annotations/train2017/0{}_labelTrainIds.png"),
    "FiftyOne": ("data/{}.jpg", "labels/{}.png"),
    "Supervisely": ("ds0/img/{}.jpg", "ds0/masks_machine/{}.jpg.png"),
    "DAVIS": ("JPEGImages/480p/bear/{}.jpg", "Annotations/480p/bear/{}.png"),
    "upper case": ("{}.JPG", "{}_MASK.PNG"),
    "dots": ("{}.jpg", "{}.mask.png"),
}


@pytest.mark.parametrize("tree", TREES)
def test_trees(tmp_path, tree):
    image, mask = TREES[tree]
    for i in range(3):
        save(tmp_path / image.format(i), IMAGE)
        save(tmp_path / mask.format(i), MASK)
    pairs = open_dataset(tmp_path).split("all")
    assert {(s.image, s.mask) for s in pairs} == {
        (tmp_path / image.format(i), tmp_path / mask.format(i)) for i in range(3)
    }


@pytest.mark.parametrize("flat", ["images", "masks"])
def test_one_mask_for_the_images_of_several_folders(tmp_path, flat):
    scenes = "masks" if flat == "images" else "images"
    for folder in (flat, f"{scenes}/a", f"{scenes}/b"):
        save(tmp_path / folder / "1.png", MASK)
    message = error(tmp_path)
    assert f"{tmp_path}/{scenes}/a/1.png and {tmp_path}/{scenes}/b/1.png" in message
    (tmp_path / scenes / "b/1.png").rename(tmp_path / scenes / "b/2.png")  # the cure
    assert len(open_dataset(tmp_path).split("all")) == 1


def test_folders_that_do_not_fit(tmp_path):
    for i in range(2):
        save(tmp_path / f"images/10k/train/{i}.png", IMAGE)  # BDD100K
        save(tmp_path / f"labels/sem_seg/masks/train/{i}.png", MASK)
    assert "2 images and 2 masks, but none with the same name in folders that fit" in error(
        tmp_path
    )
    (tmp_path / "masks").mkdir()  # the cure
    (tmp_path / "labels/sem_seg/masks").rename(tmp_path / "masks/10k")
    assert samples(tmp_path) == {"train": ["images/10k/train/0.png", "images/10k/train/1.png"]}


@pytest.mark.parametrize(
    ("name", "text"),
    [("class_dict.csv", TABLE), ("class_dict.csv", TABLE.replace(",", ";")),
     ("class_dict.csv", TABLE.replace(",", "\t")), ("class_dict.csv", TABLE.split("\n", 1)[1]),
     ("class_dict.csv", "r,g,b,name\n0,0,0,ground\n255,0,0,box\n"),
     ("class_dict.csv", ",name,r,g,b\n0,ground,0,0,0\n1,box,255,0,0\n"),
     ("label_colors.txt", "0 0 0 ground\n255 0 0\tbox\n"),
     ("labelmap.txt", "# label:color_rgb:parts:actions\nground:0,0,0::\nbox:255,0,0::\n"),
     ("labelmap.txt", "label:color_rgb:parts:actions\nground:0,0,0::\nbox:255,0,0::\n")],
)  # fmt: skip
def test_tables_of_colors(tmp_path, name, text):
    for i in range(2):
        save(tmp_path / f"images/{i}.png", IMAGE)
        save(tmp_path / f"masks/{i}.png", COLORS[MASK])
    write(tmp_path / name, text)
    dataset = open_dataset(tmp_path)
    assert dataset.label_set.names == ("ground", "box")
    np.testing.assert_array_equal(dataset.split("all")[0].read_mask(), MASK)


def test_labelme_names_255_first(tmp_path):
    mask = MASK + 0
    mask[0] = IGNORE
    for i in range(2):
        save(tmp_path / f"images/{i}.png", IMAGE)
        save(tmp_path / f"masks/{i}.png", mask)
    write(tmp_path / "labels.txt", "__ignore__\n_background_\nbox\n")
    dataset = open_dataset(tmp_path)
    assert dataset.label_set.names == ("_background_", "box")
    np.testing.assert_array_equal(dataset.split("all")[0].read_mask(), mask)


# Lists


LISTS = {
    "PaddleSeg": ("train_list.txt", "val_list.txt", "/images/{0}.png /masks/{0}.png"),
    "masks first": ("train.txt", "val.txt", "masks/{0}.png images/{0}.png"),
    "masks alone": ("train.txt", "val.txt", "masks/{0}.png"),
    "Ultralytics": ("autosplit_train.txt", "autosplit_val.txt", "./images/{0}.png"),
    "own name": ("my_train.txt", "my_val.txt", "{0}.png"),
    "folds": ("train_fold0.txt", "val_fold0.txt", "{0}.png"),
    "another root": (
        "ImageSets/Main/train.txt",
        "ImageSets/Main/val.txt",
        "D:\\x\\images\\{0}.png",
    ),
}


def six_pairs(root):
    for i in range(6):
        save(root / f"images/{i}.png", scene(i)[0])
        save(root / f"masks/{i}.png", scene(i)[1])
    return root


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("kind", LISTS)
def test_lists(tmp_path, kind, encoding):
    train, val, line = LISTS[kind]
    for name, part in ((train, range(4)), (val, range(4, 6))):
        lines = "".join(f"{line.format(i)}\r\n" for i in part)
        write(six_pairs(tmp_path) / name, lines.encode(encoding))
    assert samples(tmp_path) == {
        "train": [f"images/{i}.png" for i in range(4)],
        "val": ["images/4.png", "images/5.png"],
    }


@pytest.mark.parametrize("line", ["{1},images/a {0}.png,masks/a {0}.png", "{1};masks/a {0}.png"])
def test_tables_with_an_index(tmp_path, line):
    for i in range(3):
        save(tmp_path / f"images/a {i}.png", scene(i)[0])
        save(tmp_path / f"masks/a {i}.png", scene(i)[1])
    rows = [line.format(i, i + 1) for i in range(2)]
    write(tmp_path / "train.csv", "\n".join(["id;of the, images", *rows]))
    pairs = open_dataset(tmp_path).split("train")
    assert [(s.image.stem, s.mask.stem) for s in pairs] == [("a 0", "a 0"), ("a 1", "a 1")]


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("name", ["99.png", "99", "images/99.png", "images/4.png masks/99.png"])
def test_lists_that_name_what_is_not_there(tmp_path, split, name):
    file = six_pairs(tmp_path) / f"{split}.txt"
    write(file, f"4.png\n{name}\n")
    missing = name.split()[-1]
    assert f"{file} names 2 images, but 1 are not there, such as {missing}" in error(tmp_path)
    write(file, "4.png\n")  # the cure
    assert samples(tmp_path)[split] == ["images/4.png"]


def test_images_for_the_test_need_no_masks(tmp_path):
    save(six_pairs(tmp_path) / "images/t.png", IMAGE)
    write(tmp_path / "test.txt", "t.png\n")
    assert [p.name for p in open_dataset(tmp_path).images_without_mask] == ["t.png"]


def test_labels_of_images_named_as_splits_are_no_lists(tmp_path):
    six_pairs(tmp_path)
    for name in ("train_0", "val_image1", "test_site"):
        write(tmp_path / f"yolo/{name}.txt", "0 .1 .1 .5 .1 .5 .6\n1 .1 .1 .5 .1 .5 .6\n")
    assert not open_dataset(tmp_path).has_own_splits


def test_tables_that_hold_no_lists(tmp_path):
    write(six_pairs(tmp_path) / "train.csv", "id,rle_mask\n0,1 5 9 12\n1,3 4\n")  # TGS Salt
    write(tmp_path / "test.csv", "epoch,loss\n10,0.5\n")
    write(tmp_path / "val_log.txt", "0.png\n1.png\n2 of 6 done\n")
    assert samples(tmp_path) == {"train": ["images/0.png", "images/1.png"]}


# YOLO and COCO


def test_two_images_with_one_file_of_labels(tmp_path):
    for name in ("1.jpg", "1.png"):
        save(tmp_path / "images" / name, IMAGE)
    write(tmp_path / "labels/1.txt", "0 .1 .1 .5 .1 .5 .6\n")
    write(tmp_path / "data.yaml", "train: images\nnames: [a]\n")
    message = error(tmp_path)
    assert f"{tmp_path}/images/1.jpg and {tmp_path}/images/1.png have one file of labels" in message
    (tmp_path / "images/1.jpg").rename(tmp_path / "images/2.jpg")  # the cure
    assert samples(tmp_path) == {"train": ["images/1.png"]}


@pytest.mark.parametrize("val", ["images/2.png\nimages/99.png", "labels/2.txt"])
def test_yolo_lists_of_what_is_not_there(tmp_path, val):
    for i in range(3):
        save(tmp_path / f"images/{i}.png", scene(i)[0])
        write(tmp_path / f"labels/{i}.txt", "0 .1 .1 .5 .1 .5 .6\n")
    write(tmp_path / "data.yaml", "train: train.txt\nval: val.txt\nnames: [a]\n")
    write(tmp_path / "train.txt", "images/0.png\nimages/1.png\n")
    write(tmp_path / "val.txt", val)
    assert f"{tmp_path}/val.txt names" in error(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["images\\0a-x y.jpg", "../../label-studio/data/media/upload/1/0a-x y.jpg",
     "/data/upload/1/0a-x%20y.jpg", "/data/local-files/?d=set/images/0a-x y.jpg",
     "s3://bucket/p/0a-x%20y.jpg", "https://h/p/0a-x%20y.jpg?token=a/b", " 0a-x y.jpg"],
)  # fmt: skip
def test_names_of_label_studio(tmp_path, name):
    save(tmp_path / "images/0a-x y.jpg", IMAGE)
    outline = {"image_id": 0, "category_id": 0, "segmentation": [[2, 2, 20, 2, 20, 20]]}
    rows = [{"id": 0, "file_name": name, "height": 24, "width": 32}]
    write(tmp_path / "result.json", json.dumps(
        {"images": rows, "annotations": [outline], "categories": [{"id": 0, "name": "cat"}]}
    ))  # fmt: skip
    assert len(open_dataset(tmp_path).split("all")) == 1


def test_one_coco_file_for_the_folders_of_all_splits(tmp_path):
    for split in ("train", "val"):
        save(tmp_path / f"{split}/1.png", scene(len(split))[0])
    rows = [{"id": i, "file_name": f"{s}/1.png"} for i, s in enumerate(("train", "val"), 1)]
    coco(tmp_path, [], images=rows)
    assert samples(tmp_path) == {"train": ["train/1.png"], "val": ["val/1.png"]}


# Archives


@pytest.mark.parametrize("name", ["masks.zip", "masks.tar.bz2", "masks.tar.gz", "masks.7z"])
def test_masks_in_an_archive(tmp_path, name):
    save(tmp_path / "images/0.png", IMAGE)
    write(tmp_path / name, b"PK")
    assert f"unpack {name}, or put them into" in error(tmp_path)


def test_warnings_of_the_reader_are_those_of_the_check(tmp_path):
    for i in range(2):
        save(tmp_path / f"images/{i}.png", scene(i)[0])
        save(tmp_path / f"masks/{i}.png", 255 - 255 * scene(i)[1])
    dataset = open_dataset(tmp_path)
    (warning,) = dataset.warnings
    assert "the objects are the black ones, choose classes=['foreground', 'background']" in warning
    assert warning in check_dataset(dataset).warnings
    turned = open_dataset(tmp_path, classes=["foreground", "background"])  # the cure
    assert turned.label_set.names == ("foreground", "background")
    assert (turned.split("all")[0].read_mask() == 0).mean() < 0.5
