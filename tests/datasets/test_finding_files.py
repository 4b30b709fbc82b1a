"""Images, masks and splits are found by whatever names people's tools write for them."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from helpers.make_dataset import SIZE, save, scene

from easyseg.datasets import open_dataset
from easyseg.datasets.check import check_dataset
from easyseg.errors import DatasetError

OUTLINE = [[2, 2, 20, 2, 20, 20, 2, 20]]
MASK = scene(0)[1]


def image(*paths):
    for number, path in enumerate(paths):
        save(path, scene(number + len(path.as_posix()))[0])


def masks(*paths):
    for path in paths:
        save(path, MASK)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def coco(path, *names, category=1, start=1):
    """A COCO file with an outline on each image."""
    rows = [{"id": i, "file_name": name, "height": SIZE[0], "width": SIZE[1]}
            for i, name in enumerate(names, start)]  # fmt: skip
    shapes = [{"id": i, "image_id": i, "category_id": category, "segmentation": OUTLINE}
              for i, _ in enumerate(names, start)]  # fmt: skip
    kinds = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    content = {"images": rows, "annotations": shapes, "categories": kinds}
    return write(path, json.dumps(content))


def yolo(root, yaml, *images, file="data.yaml"):
    """Images below `images/` with labels, and the YAML."""
    for name in images:
        image(root / name)
        label = (root / name.replace("images", "labels")).with_suffix(".txt")
        write(label, "0 .1 .1 .5 .1 .5 .6\n")
    write(root / file, yaml)


def labelme(path, name):
    shape = {"label": "cat", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}
    write(path, json.dumps({"shapes": [shape], "imagePath": name}))


def samples(root, **options):
    """`{split: images relative to the root}`; without splits, `{"": images}`."""
    dataset = open_dataset(root, **options)
    folder = os.path.realpath(root if root.is_dir() else root.parent)
    splits = dataset.splits.items() if dataset.has_own_splits else [("", dataset.split("all"))]
    return {
        split: sorted(os.path.relpath(os.path.realpath(s.image), folder) for s in part)
        for split, part in splits
    }


def pairs(root):
    """`{image: mask}`, both relative to the root."""
    return {
        str(s.image.relative_to(root)): str(s.mask.relative_to(root))
        for s in open_dataset(root).split("all")
    }


def error(root, **options):
    with pytest.raises(DatasetError) as caught:
        check_dataset(open_dataset(root, **options)).raise_errors()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Names


@pytest.mark.parametrize(
    ("listed", "there"),
    [
        ("/home/bob/set/images/camA/1.png", "images/camA/1.png"),
        ("camA\\1.png", "images/camA/1.png"),
        ("C:\\Users\\bob\\data\\camA\\1.png", "images/camA/1.png"),
        ("D:/data/camA/1.png", "images/camA/1.png"),
        ("file:///data/camA/1.png", "images/camA/1.png"),
        ("s3://bucket/camA/1.png", "images/camA/1.png"),
        ("https://host/upload/camA/1.png?token=2", "images/camA/1.png"),
        ("/data/local-files/?d=set/camA/1.png", "images/camA/1.png"),
        ("my%20photo.png", "images/my photo.png"),
        ("my photo.png", "images/my%20photo.png"),
        ("100%.png", "images/100%.png"),
        (unicodedata.normalize("NFD", "caf\u00e9.png"), "images/caf\u00e9.png"),
        (unicodedata.normalize("NFC", "caf\u00e9.png"), "images/cafe\u0301.png"),
        ("A.PNG", "images/a.png"),
        ("a.jpg", "images/a.JPG"),
        ("a.jpeg", "images/a.jpg"),
        ("CAMA/1.png", "images/camA/1.png"),
        ("./images/a.png", "images/a.png"),
        ("../images/a.png", "images/a.png"),
        ("images//a.png", "images/a.png"),
        ("a.v2.final.png", "images/a.v2.final.png"),
        ("images/a.png ", "images/a.png"),
    ],
)
def test_names_as_tools_write_them(tmp_path, listed, there):
    image(tmp_path / there, tmp_path / "images/camB/1.png", tmp_path / "images/b.png")
    coco(tmp_path / "annotations/instances_default.json", listed, "camB/1.png")
    assert samples(tmp_path) == {"": sorted([there, "images/camB/1.png"])}


def test_the_spelling_decides_between_two(tmp_path):
    image(tmp_path / "images/a.png", tmp_path / "images/A.png")
    coco(tmp_path / "instances.json", "A.png")
    assert samples(tmp_path) == {"": ["images/A.png"]}


def test_names_that_are_not_clear_are_refused(tmp_path):
    image(tmp_path / "images/camA/1.png", tmp_path / "images/camB/1.png")
    file = coco(tmp_path / "instances.json", "1.png")
    message = error(tmp_path)
    assert "1.png, which may be" in message
    assert "camA/1.png" in message
    assert "camB/1.png" in message
    coco(file, "camB/1.png")
    assert samples(tmp_path) == {"": ["images/camB/1.png"]}


def test_an_image_that_is_not_there_is_not_another_of_its_name(tmp_path):
    image(tmp_path / "images/camA/1.png")
    file = coco(tmp_path / "instances.json", "camA/1.png", "camB/1.png")
    assert samples(tmp_path) == {"": ["images/camA/1.png"]}
    assert "missing images, left out: 1" in " ".join(open_dataset(tmp_path).notes)
    coco(file, "camB/1.png", "camC/1.png")
    assert "camB/1.png and camC/1.png, but of both there is only" in error(tmp_path)


def test_two_exports_of_which_one_has_lost_an_image(tmp_path):
    for export, numbers in (("a", "12"), ("b", "2")):
        image(*(tmp_path / export / f"images/{n}.png" for n in numbers))
        coco(tmp_path / export / "instances.json", "1.png", "2.png")
    assert samples(tmp_path) == {"": ["a/images/1.png", "a/images/2.png", "b/images/2.png"]}


def test_overlays_and_masks_are_not_the_images(tmp_path):
    for folder in ("images", "masks", "visualization", "thumbs", "annotations/masks"):
        image(tmp_path / folder / "1.png")
    coco(tmp_path / "annotations/instances.json", "1.png")
    assert samples(tmp_path) == {"": ["images/1.png"]}


def test_an_annotation_file_finds_the_images_beside_its_folder(tmp_path):
    image(tmp_path / "images/1.png", tmp_path / "images/2.png")
    file = coco(tmp_path / "annotations/instances_default.json", "1.png", "2.png")
    assert len(open_dataset(file).split("all")) == 2


def test_an_image_in_several_annotation_files_is_one_sample(tmp_path):
    image(tmp_path / "images/1.png")
    coco(tmp_path / "annotations/cats.json", "1.png")
    coco(tmp_path / "annotations/dogs.json", "1.png", category=2)
    dataset = open_dataset(tmp_path)
    assert len(dataset.split("all")) == 1
    assert "images listed again, whose annotations are merged: 1" in " ".join(dataset.notes)
    assert set(np.unique(dataset.split("all")[0].read_mask())) <= {0, 1, 2}


def test_a_lost_validation_image_is_not_the_training_image_of_its_name(tmp_path):
    image(tmp_path / "train/1.png", tmp_path / "valid/2.png")
    coco(tmp_path / "train/_annotations.coco.json", "1.png")
    coco(tmp_path / "valid/_annotations.coco.json", "1.png", "2.png")
    assert samples(tmp_path) == {"train": ["train/1.png"], "val": ["valid/2.png"]}


def test_more_than_eight_annotation_files(tmp_path):
    for i in range(12):
        image(tmp_path / f"images/{i}.png")
        coco(tmp_path / f"annotations/task_{i}.json", f"{i}.png")
    assert len(open_dataset(tmp_path).split("all")) == 12


def test_a_list_of_all_images_does_not_undo_the_splits(tmp_path):
    image(tmp_path / "images/1.png", tmp_path / "images/2.png")
    for name, listed in (("all", ["1", "2"]), ("train", ["1"]), ("val", ["2"])):
        coco(tmp_path / f"annotations/instances_{name}.json", *(f"{i}.png" for i in listed))
    assert samples(tmp_path) == {"train": ["images/1.png"], "val": ["images/2.png"]}


def test_an_image_in_two_splits_is_refused(tmp_path):
    image(tmp_path / "images/1.png", tmp_path / "images/2.png")
    coco(tmp_path / "annotations/instances_train.json", "1.png", "2.png")
    file = coco(tmp_path / "annotations/instances_val.json", "2.png")
    message = error(tmp_path)
    assert "images/2.png is in two splits" in message
    assert "instances_val.json" in message
    file.unlink()
    assert samples(tmp_path)["train"] == ["images/1.png", "images/2.png"]


def test_validation_images_are_not_taken_from_the_training_folder(tmp_path):
    image(tmp_path / "train2017/1.png", tmp_path / "train2017/2.png")
    coco(tmp_path / "annotations/instances_train2017.json", "1.png", "2.png")
    coco(tmp_path / "annotations/instances_val2017.json", "val2017/1.png")
    assert samples(tmp_path) == {"train": ["train2017/1.png", "train2017/2.png"]}


@pytest.mark.parametrize("above", ["train", "val/images", "masks", "annotations/test"])
def test_folders_above_the_root_mean_nothing(tmp_path, above):
    root = tmp_path / above / "set"
    for split in ("train", "valid"):
        image(root / f"images/{split}/1.png")
        masks(root / f"masks/{split}/1.png")
    assert samples(root) == {"train": ["images/train/1.png"], "val": ["images/valid/1.png"]}
    coco(root / "instances.json", "train/1.png", "valid/1.png")  # the folders of both splits
    assert samples(root) == {"train": ["images/train/1.png"], "val": ["images/valid/1.png"]}
    (root / "instances.json").unlink()
    yolo(root / "yolo", "train: images/train\nval: images/valid\nnames: [a]",
         "images/train/1.png", "images/valid/1.png")  # fmt: skip
    assert samples(root / "yolo") == {
        "train": ["images/train/1.png"],
        "val": ["images/valid/1.png"],
    }


@pytest.mark.parametrize("prefix", ["instances_", ""])
def test_the_name_of_an_annotation_file_is_a_folder(tmp_path, prefix):
    for subset in ("day", "night_1"):
        image(tmp_path / f"images/{subset}/0.png")
        coco(tmp_path / f"annotations/{prefix}{subset}.json", "0.png")
    assert samples(tmp_path) == {"": ["images/day/0.png", "images/night_1/0.png"]}


def test_one_image_twice_in_an_annotation_file(tmp_path):
    image(tmp_path / "images/0.png", tmp_path / "images/1.png")
    coco(tmp_path / "instances.json", "0.png", "images/0.png", "1.png")
    assert samples(tmp_path) == {"": ["images/0.png", "images/1.png"]}


def test_lists_beside_one_annotation_file(tmp_path):
    image(*(tmp_path / f"images/{i}.png" for i in range(4)))
    coco(tmp_path / "deep/er/still/x.JSON", *(f"{i}.png" for i in range(4)))
    write(tmp_path / "train.txt", "0.png\n1.png")
    write(tmp_path / "val.txt", "images/2.png")
    assert samples(tmp_path) == {"train": ["images/0.png", "images/1.png"], "val": ["images/2.png"]}


def test_a_relative_root_and_absolute_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = Path("set")
    image(root / "images/0.png", root / "images/1.png")
    coco(root / "instances.json", *(str((root / f"images/{i}.png").resolve()) for i in range(2)))
    dataset = open_dataset(root, strict=True)
    assert [str(s.image) for s in dataset.split("all")] == ["set/images/1.png", "set/images/0.png"]


# Lists


def voc(root, *names):
    for name in names:
        image(root / f"JPEGImages/{name}.jpg")
        masks(root / f"SegmentationClass/{name}.png")


LINES = [
    "{0}",
    "{0}.jpg",
    "{0}.png",
    "JPEGImages/{0}.jpg",
    "JPEGImages/{0}.jpg SegmentationClass/{0}.png",
    "/JPEGImages/{0}.jpg /SegmentationClass/{0}.png",
    "/home/bob/VOC2012/JPEGImages/{0}.jpg",
    "C:\\voc\\JPEGImages\\{0}.jpg\tC:\\voc\\SegmentationClass\\{0}.png",
    '"{0}.jpg"',
    "../../JPEGImages/{0}.jpg",
]
ALONE = ["{0}.jpg,{0}.png", "{0}  1", "{0} -1"]  # clear for names without blanks
BLANKS = ["my photo.v2 {}", "ph\u00e9 {}.jpg"]


@pytest.mark.parametrize(
    ("line", "stem"),
    [
        *((line, stem) for line in [*LINES, *ALONE] for stem in ["a{}", "cam/{}"]),
        *((line, stem) for line in LINES for stem in BLANKS),
    ],
)
def test_lines_of_voc_lists(tmp_path, line, stem):
    names = [stem.format(i) for i in range(4)]
    voc(tmp_path, *names)
    for split, part in (("train", names[:2]), ("val", names[2:])):
        text = "\r\n".join(["\ufeff# images", "", *(line.format(n) for n in part), ""])
        write(tmp_path / f"ImageSets/Segmentation/{split}.txt", text)
    dataset = open_dataset(tmp_path)
    assert not [note for note in dataset.notes if "missing" in note and "# images" not in note]
    assert samples(tmp_path) == {
        "train": [f"JPEGImages/{n}.jpg" for n in names[:2]],
        "val": [f"JPEGImages/{n}.jpg" for n in names[2:]],
    }


def test_names_of_voc_lists(tmp_path):
    voc(tmp_path, "a", "b", "c")
    lists = tmp_path / "ImageSets/Segmentation"
    write(lists / "Train.txt", "a")
    write(lists / "Validation.txt", "b")
    assert samples(tmp_path) == {"train": ["JPEGImages/a.jpg"], "val": ["JPEGImages/b.jpg"]}
    (lists / "Train.txt").unlink()
    write(lists / "trainval.txt", "a\nb".encode("utf-16"))
    assert samples(tmp_path) == {"train": ["JPEGImages/a.jpg"], "val": ["JPEGImages/b.jpg"]}
    (lists / "trainval.txt").unlink()
    (lists / "Validation.txt").unlink()
    write(lists / "default.txt", "a\nb")
    assert samples(tmp_path) == {"": ["JPEGImages/a.jpg", "JPEGImages/b.jpg"]}
    write(lists / "default.txt", "x\ny")
    assert "default.txt names 2 images, but none of them is there, such as x" in error(tmp_path)
    write(lists / "default.txt", "a")
    assert samples(tmp_path) == {"": ["JPEGImages/a.jpg"]}


def test_voc_in_folders_of_cameras(tmp_path):
    voc(tmp_path, "camA/1", "camB/1")
    write(tmp_path / "ImageSets/Segmentation/default.txt", "camA/1\ncamB/1")
    assert pairs(tmp_path) == {
        f"JPEGImages/{cam}/1.jpg": f"SegmentationClass/{cam}/1.png" for cam in ("camA", "camB")
    }
    (tmp_path / "ImageSets/Segmentation/default.txt").unlink()
    assert len(pairs(tmp_path)) == 2


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("{0}.txt", "/SegNet/CamVid/all/{1}.png /SegNet/CamVid/gt/{1}.png"),
        ("{0}.txt", "all/{1}.png gt/{1}.png"),
        ("splits/{0}.txt", "{1}"),
        ("{0}_list.txt", "{1}.png"),
        ("{0}.lst", "all\\{1}.png"),
        ("{0}.csv", "all/{1}.png,gt/{1}.png"),
        ("ImageSets/{0}.txt", "{1} 1 2 3"),
        ("lists/{0}_images.txt", "./all/{1}.png"),
    ],
)
def test_lists_beside_folders_are_the_splits(tmp_path, file, line):
    for i in range(5):
        image(tmp_path / f"all/{i}.png")
        masks(tmp_path / f"gt/{i}.png")
    for split, numbers in (("train", [0, 1]), ("valid", [2, 3])):
        lines = [line.format(split, n) for n in numbers]
        head = ["image,mask"] if file.endswith("csv") else []
        write(tmp_path / file.format(split), "\n".join(head + lines))
    assert samples(tmp_path) == {
        "train": ["all/0.png", "all/1.png"],
        "val": ["all/2.png", "all/3.png"],
    }
    assert "1 images that no list names are not used" in " ".join(open_dataset(tmp_path).notes)


def test_lists_that_are_wrong_or_none(tmp_path):
    for i in range(4):
        image(tmp_path / f"images/{i}.png")
        masks(tmp_path / f"masks/{i}.png")
    file = write(tmp_path / "val.txt", "images/7.png\nimages/8.png")
    assert "val.txt names 2 images, but none of them is there" in error(tmp_path)
    file.write_text("some thoughts on validation")
    assert samples(tmp_path) == {"": [f"images/{i}.png" for i in range(4)]}
    file.write_text("images/1.png\nimages/9.png")
    assert "val.txt names 2 images, but 1 are not there, such as images/9.png" in error(tmp_path)
    file.write_text("images/1.png")
    assert samples(tmp_path)["val"] == ["images/1.png"]
    write(tmp_path / "train.txt", "images/0.png\nimages/1.png")
    assert "images/1.png is in two splits, train and val" in error(tmp_path)
    write(tmp_path / "train.txt", "images/0.png\nimages/2.png")
    assert samples(tmp_path)["train"] == ["images/0.png", "images/2.png"]


def test_camvid_as_cvat_exports_it(tmp_path):
    for i in range(3):
        image(tmp_path / f"default/{i}.png")
        masks(tmp_path / f"defaultannot/{i}.png")
    text = "".join(f"/default/{i}.png /defaultannot/{i}.png\n" for i in range(3))
    write(tmp_path / "default.txt", text)
    assert pairs(tmp_path) == {f"default/{i}.png": f"defaultannot/{i}.png" for i in range(3)}


# YOLO


FOUR = [f"images/{i}.png" for i in range(4)]
SPLIT = {"train": ["images/0.png", "images/1.png"], "val": ["images/2.png", "images/3.png"]}


@pytest.mark.parametrize(
    "line",
    ["./images/{}.png", "images/{}.png", "data/images/{}.png", "/home/bob/set/images/{}.png",
     "images\\{}.png", "C:\\set\\images\\{}.png", "../images/{}.png", "{}.png", "{}"],
)  # fmt: skip
@pytest.mark.parametrize("folder", ["", "lists/"])
def test_yolo_lists(tmp_path, line, folder):
    yolo(tmp_path, f"train: {folder}train.txt\nval: {folder}val.txt\nnames: [a]", *FOUR)
    for split, numbers in (("train", [0, 1]), ("val", [2, 3])):
        text = "\ufeff" + "\r\n\r\n".join(line.format(n) for n in numbers)
        write(tmp_path / f"{folder}{split}.txt", text)
    assert samples(tmp_path) == SPLIT
    assert samples(tmp_path / "data.yaml") == SPLIT


@pytest.mark.parametrize(
    "yaml",
    [
        "train: images/train\nval: images/val",
        "train: ../images/train\nval: ../images/val\ntest: ../images/test",
        "train: /content/set/images/train/\nval: /content/set/images/val/",
        "train: C:\\set\\images\\train\nval: C:\\set\\images\\val",
        "path: /content/set\ntrain: images/train\nval: images/val\ntest:",
        "path: .\ntrain: [images/train]\nval: [images/val]",
        "path: images\ntrain: train\nval: val",
        "path: ../set\ntrain: images/train/*.png\nval: images/val/*",
        "train: [images/train/0.png, images/train/1.png]\nval: images/val",
        "train: [images/train/0.png, train.txt]\nvalid: images/val",
        "train: images/train\nval: images/val\ntest: test-dev.txt",
        "train: splits/train\nval: images/val",
        "val: images/val",
        "",
    ],
)
def test_yolo_folders(tmp_path, yaml):
    root = tmp_path / "set"
    names = ["images/train/0.png", "images/train/1.png", "images/val/2.png"]
    yolo(root, f"{yaml}\nnames: [a]", *names)
    write(root / "train.txt", "images/train/1.png") if "train.txt" in yaml else None
    write(root / "splits/train", "\n".join(names[:2])) if "splits" in yaml else None
    assert samples(root) == {"train": names[:2], "val": names[2:]}


def test_yolo_as_roboflow_exports_it(tmp_path):
    text = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnames: [a]"
    yolo(tmp_path, text, "train/images/0.png", "test/images/1.png")
    assert samples(tmp_path) == {"train": ["train/images/0.png"], "test": ["test/images/1.png"]}
    notes = " ".join(open_dataset(tmp_path).notes)
    assert "names ../valid/images for val, which is not there" in notes


def test_yolo_folders_in_each_other(tmp_path):
    yolo(tmp_path, "train: images\nval: images/val\nnames: [a]", "images/0.png", "images/val/1.png")
    assert samples(tmp_path) == {"train": ["images/0.png"], "val": ["images/val/1.png"]}


def test_yolo_one_folder_below(tmp_path):
    text = "train: images/train\nval: images/val\nnames: [a]"
    yolo(tmp_path / "a", text, "images/train/0.png", "images/val/1.png", file="Data.YAML")
    assert samples(tmp_path) == {"train": ["a/images/train/0.png"], "val": ["a/images/val/1.png"]}
    yolo(tmp_path / "b", text, "images/train/0.png", "images/val/1.png")
    assert "holds several data sets" in error(tmp_path)
    assert len(samples(tmp_path / "b")) == 2


@pytest.mark.parametrize("names", ["classes.txt", "obj.names"])
def test_yolo_with_a_list_of_names_and_no_yaml(tmp_path, names):
    yolo(tmp_path, "cat\ndog\n", *FOUR, file=names)
    write(tmp_path / "train.txt", "data/images/0.png\ndata/images/1.png\n")
    dataset = open_dataset(tmp_path)
    assert samples(tmp_path) == {"train": FOUR[:2]}
    assert dataset.label_set.names == ("background", "cat", "dog")
    for i in range(4):
        masks(tmp_path / f"masks/{i}.png")
    assert open_dataset(tmp_path).format == "folders"


def test_yolo_lists_that_cannot_be_honored(tmp_path):
    yolo(tmp_path, "train: train.txt\nval: val.txt\nnames: [a]", *FOUR)
    write(tmp_path / "train.txt", "\n".join(FOUR[:3]))
    assert "data.yaml names val.txt for val, but it is not there; correct" in error(tmp_path)
    write(tmp_path / "val.txt", "\n".join(FOUR[2:]))
    assert "images/2.png is in two splits, train and val" in error(tmp_path)
    write(tmp_path / "val.txt", "images/9.png")
    assert "val.txt names 1 images, but none of them is there" in error(tmp_path)
    write(tmp_path / "val.txt", FOUR[3])
    assert samples(tmp_path) == {"train": FOUR[:3], "val": FOUR[3:]}
    write(tmp_path / "data.yaml", "train: /content/nowhere\nval: val.txt\nnames: [a]")
    assert "names /content/nowhere for train, but it is not there" in error(tmp_path)
    write(tmp_path / "data.yaml", "val: val.txt\nnames: [a]")
    assert samples(tmp_path) == {"train": FOUR[:3], "val": FOUR[3:]}


def test_yolo_images_that_no_split_names_are_not_trained_on(tmp_path):
    yolo(tmp_path, "train: train.txt\nnames: [a]", *FOUR)
    write(tmp_path / "train.txt", "\n".join(FOUR[:2]))
    assert samples(tmp_path) == {"train": FOUR[:2]}
    assert "2 images that no list names are not used" in " ".join(open_dataset(tmp_path).notes)


def test_yolo_yaml_that_lies_elsewhere(tmp_path):
    yolo(tmp_path / "set", "", "images/train/0.png", "images/val/1.png", file="../cfg/a.yaml")
    wanted = {"train": ["../set/images/train/0.png"], "val": ["../set/images/val/1.png"]}
    for text in (
        "path: ../set\ntrain: images/train\nval: images/val",
        f"path: {tmp_path / 'set'}\ntrain: images/train\nval: images/val",
        "train: ../set/images/train\nval: ../set/images/val",
    ):
        write(tmp_path / "cfg/a.yaml", f"{text}\nnames: [a]")
        assert samples(tmp_path / "cfg/a.yaml") == wanted
    notes = " ".join(open_dataset(tmp_path / "cfg/a.yaml").notes)
    assert "4 files lie outside" in notes
    assert "files lie outside" in error(tmp_path / "cfg/a.yaml", strict=True)


def test_yolo_labels_in_other_case(tmp_path):
    image(tmp_path / "Images/A.JPG", tmp_path / "Images/b.jpg")
    for name in ("a", "B"):
        write(tmp_path / f"Labels/{name}.txt", "0 .1 .1 .5 .1 .5 .6\n")
    write(tmp_path / "data.yaml", "names: [a]")
    assert samples(tmp_path) == {"": ["Images/A.JPG", "Images/b.jpg"]}


# Folders


@pytest.mark.parametrize(
    ("image_name", "mask_name"),
    [
        ("img_dir/train/1.png", "ann_dir/train/1.png"),
        ("img_dir/train/1.png", "ann_dir/train/1_labelTrainIds.png"),
        ("imgs/train/1.jpg", "msks/train/1.png"),
        ("Images/train/A.JPG", "Masks/train/a.png"),
        ("images/train/a.jpg", "masks/train/a.jpg.png"),
        ("images/train/a.v1.jpg", "masks/train/a.v1.png"),
        ("images/train/a b.jpg", "masks/train/a%20b.png"),
        ("images/train/e\u0301.jpg", "masks/train/\u00e9.png"),
        ("label_export/images/train/1.png", "label_export/masks/train/1.png"),
        ("train/rgb/1.png", "train/gt/1.png"),
        ("images/train/1.png", "masks_png/train/1.png"),
        ("train/img/1.jpg", "train/masks_machine/1.png"),
        ("JPEGImages/train/480p/bear/1.jpg", "Annotations/train/480p/bear/1.png"),
        ("images_png/train/urban/1.png", "masks_png/train/urban/1.png"),
        ("train_images/1.png", "train_masks/1_mask.gif"),
        ("ISIC_Training_Data/1.jpg", "ISIC_Training_Part1_GroundTruth/1_segmentation.png"),
    ],
)
def test_layouts_of_images_and_masks(tmp_path, image_name, mask_name):
    image(tmp_path / image_name)
    masks(tmp_path / mask_name)
    assert pairs(tmp_path) == {image_name: mask_name}
    assert open_dataset(tmp_path).splits.keys() == {"train"}


@pytest.mark.parametrize("flat", ["masks", "images"])
def test_splits_that_only_images_or_masks_have(tmp_path, flat):
    for split, name in (("train", "0"), ("val", "1")):
        image(tmp_path / f"images/{split if flat == 'masks' else ''}/{name}.png")
        masks(tmp_path / f"masks/{split if flat == 'images' else ''}/{name}.png")
    dataset = open_dataset(tmp_path)
    assert {split: len(part) for split, part in dataset.splits.items()} == {"train": 1, "val": 1}
    image(tmp_path / f"images/{'val' if flat == 'masks' else ''}/0.tif")
    assert "have one mask" in error(tmp_path)


def test_masks_of_several_kinds_are_not_chosen_from(tmp_path):
    image(tmp_path / "images/train/0.png")
    masks(tmp_path / "masks_a/train/0.png", tmp_path / "masks_b/train/0.png")
    assert "0.png has two masks" in error(tmp_path)


def test_several_voc_trees(tmp_path):
    for year in ("VOC2007", "VOC2012"):
        voc(tmp_path / year, "a")
    assert "holds several data sets, such as" in error(tmp_path)
    assert len(samples(tmp_path / "VOC2012")) == 1


def test_each_camera_has_its_masks(tmp_path):
    for camera in ("camA", "cam_a", "test_site"):
        image(tmp_path / f"images/train/{camera}/1.png")
        masks(tmp_path / f"masks/train/{camera}/1.png")
    assert pairs(tmp_path) == {
        f"images/train/{c}/1.png": f"masks/train/{c}/1.png" for c in ("camA", "cam_a", "test_site")
    }
    assert open_dataset(tmp_path).splits.keys() == {"train"}


def test_two_images_of_one_stem(tmp_path):
    image(tmp_path / "images/1.png", tmp_path / "images/1.tif")
    masks(tmp_path / "masks/1.png")
    message = error(tmp_path)
    assert "images/1.png and" in message
    assert "have one mask" in message
    masks(tmp_path / "masks/1.tif")
    assert pairs(tmp_path) == {f"images/1.{e}": f"masks/1.{e}" for e in ("png", "tif")}


# labelme


@pytest.mark.parametrize(
    ("file", "name", "there"),
    [
        ("json/a.json", "..\\images\\a.png", "images/a.png"),
        ("json/a.json", "C:\\bob\\images\\a.png", "images/a.png"),
        ("a.json", "A.PNG", "a.png"),
        ("a.json", "old_name.png", "a.png"),
        ("json/a.json", "", "images/a.png"),
        ("x/y/z/w/a.json", "a.png", "x/y/z/w/a.png"),
        ("json/cam/a.json", "a.png", "images/cam/a.png"),
    ],
)
def test_labelme_names(tmp_path, file, name, there):
    image(tmp_path / there, tmp_path / "other/b.png")
    if "cam" in file:
        image(tmp_path / "images/other/a.png")
    labelme(tmp_path / file, name)
    assert samples(tmp_path) == {"": [there]}


def test_labelme_files_of_one_image_and_lists(tmp_path):
    for i in range(4):
        image(tmp_path / f"{i}.png")
        labelme(tmp_path / f"{i}.json", f"{i}.png")
    labelme(tmp_path / "copy.json", "0.png")
    assert "0.png has two masks" in error(tmp_path)
    (tmp_path / "copy.json").unlink()
    write(tmp_path / "train.txt", "0\n1\n")
    write(tmp_path / "val.txt", "2.json\n3.png\n")
    assert "such as 2.json" in error(tmp_path)
    write(tmp_path / "val.txt", "3.png\n")
    assert samples(tmp_path) == {"train": ["0.png", "1.png"], "val": ["3.png"]}


# What is none of our business, and what is not a file


@pytest.mark.parametrize(
    ("name", "text"),
    [("deploy.yaml", "Resources:\n  X: !Ref foo\n"), ("a.yaml", "names: ["), ("a.json", "{"),
     ("b.json", '{"shapes": 1, "imagePath": 2}'), ("c.json", '{"images": [], "annotations": []}'),
     ("d.json", '{"images": 1, "x": "annotations", "categories": 1}'), ("train.txt", "notes"),
     ("labels/0.txt", "0 .1 .1 .5 .1 .5 .6")],
)  # fmt: skip
def test_unrelated_files(tmp_path, name, text):
    for i in range(4):
        image(tmp_path / f"images/{i}.png")
        masks(tmp_path / f"masks/{i}.png")
    write(tmp_path / name, text)
    assert open_dataset(tmp_path).format == "folders"
    assert len(open_dataset(tmp_path).split("all")) == 4


def test_what_is_missing_of_a_format(tmp_path):
    yolo(tmp_path, "nothing: 1", *FOUR)
    assert "has labels as YOLO's, such as" in error(tmp_path)
    (tmp_path / "data.yaml").write_text("names: [a]")
    assert samples(tmp_path) == {"": FOUR}
    message = error(tmp_path, format="coco")
    assert "The files are in another format: use format='yolo'" in message
    assert samples(tmp_path, format="yolo") == {"": FOUR}


def test_archives(tmp_path):
    file = write(tmp_path / "data.zip", b"PK")
    assert "unpack it and give its folder" in error(file)
    assert "holds no images; unpack data.zip" in error(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize(
    "name",
    [
        "images/2.png",
        "masks/2.png",
        "data.yaml",
        "classes.txt",
        "instances.json",
        "train.txt",
        "labels.json",
    ],
)
def test_pipes_are_refused(tmp_path, name):
    for i in range(2):
        image(tmp_path / f"images/{i}.png")
        masks(tmp_path / f"masks/{i}.png")
    os.mkfifo(tmp_path / name)
    if name.endswith("png"):
        assert f"{name} is not a regular file; replace it, or remove it" in error(tmp_path)
    elif name == "train.txt":
        assert f"{name} is not a regular file" in error(tmp_path)
    else:  # recognition passes over it
        assert len(open_dataset(tmp_path).split("all")) == 2
    (tmp_path / name).unlink()
    assert len(open_dataset(tmp_path).split("all")) == 2


def test_links(tmp_path):
    root = tmp_path / "set"
    image(root / "images/0.png", tmp_path / "elsewhere/1.png")
    masks(root / "masks/0.png", root / "masks/1.png")
    (root / "images/1.png").symlink_to(tmp_path / "elsewhere/1.png")
    (root / "all").symlink_to("/")
    (root / "images/again").symlink_to(root)
    (root / "images/loop").symlink_to("loop")
    (root / "devices").symlink_to("/dev")
    dataset = open_dataset(root)
    assert len(dataset.split("all")) == 2
    assert "1 files lie outside" in " ".join(dataset.notes)
    message = error(root, strict=True)
    assert "images/1.png; move them into it" in message
    (root / "images/1.png").unlink()
    assert len(open_dataset(root, strict=True).split("all")) == 1


def test_names_that_lead_elsewhere(tmp_path):
    root = tmp_path / "set"
    image(tmp_path / "other/1.png", root / "images/2.png")
    coco(root / "instances.json", "../other/1.png", "2.png")
    assert samples(root) == {"": ["../other/1.png", "images/2.png"]}
    assert "1 files lie outside" in " ".join(open_dataset(root).notes)
    assert "other/1.png" in error(root, strict=True)


# Stray files of another data set

EMPTY_LABELME = {"shapes": [], "imagePath": "x.png", "imageHeight": 64, "imageWidth": 96}
EMPTY_COCO = {"images": [], "annotations": [], "categories": []}
OTHER_COCO = {**EMPTY_COCO, "categories": [{"id": 1, "name": "a"}]}
OTHER_COCO["images"] = [{"id": 1, "file_name": "elsewhere.png", "width": 96, "height": 64}]


@pytest.mark.parametrize(
    ("kind", "name", "document", "reason"),
    [
        ("labelme", "x.json", EMPTY_LABELME, "has labelme files, but not their images"),
        ("coco", "instances.json", EMPTY_COCO, "lists no images"),
        ("coco", "annotations/x.json", OTHER_COCO, "none of the images listed"),
    ],
)
def test_a_stray_file_of_another_data_set_is_not_used(tmp_path, kind, name, document, reason):
    write(tmp_path / name, json.dumps(document))
    with pytest.raises(DatasetError, match=reason):
        open_dataset(tmp_path)
    for i in range(4):
        image(tmp_path / f"images/{i}.png")
        masks(tmp_path / f"masks/{i}.png")
    report = check_dataset(tmp_path)
    assert report.dataset.format == "folders"
    assert len(report.dataset.split("all")) == 4
    assert any(reason in warning and "not used" in warning for warning in report.warnings)
    with pytest.raises(DatasetError, match=reason):
        open_dataset(tmp_path, format=kind)
