"""Every format recognizes itself and gives the ids that its files mean."""

from __future__ import annotations

import base64
import io
import json
import pickle

import numpy as np
import pytest
from helpers.make_dataset import SIZE, box, coco, folders, save, scene
from helpers.paths import ROOT
from PIL import Image

from easyseg.datasets import DATASETS, IGNORE, Dataset, open_dataset
from easyseg.datasets.rasterize import Shape, draw_shapes
from easyseg.errors import DatasetError, UnknownNameError
from easyseg.results.label_set import LabelSet, load_label_set


def mask_of(dataset: Dataset, name: str) -> np.ndarray:
    samples = {s.name: s for split in dataset.splits.values() for s in split}
    return samples[name].read_mask()


def sizes(dataset):
    return {name: len(samples) for name, samples in dataset.splits.items()}


def _of_split(folder, split):
    if split == "train":
        return folder
    folder = folder.replace("training", "validation")
    return folder.replace("train", "val").replace("Train", "Val")


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images/train", "masks/train"),
        ("photos/train", "masks/train"),
        ("train/images", "train/labels"),
        ("Train_Images", "Train_Masks"),
        ("train", "trainannot"),
        ("train", "train_labels"),
        ("data/TrainImages", "data/TrainMasks"),
        ("img/training/a", "gt/training/a"),
        ("train", "train"),
    ],
)
def test_spellings_of_paired_folders(tmp_path, images, masks):
    same = images == masks
    for split in ("train", "val"):
        there = [_of_split(text, split) for text in (images, masks)]
        for i in range(3):
            image, mask = scene(i)
            save(tmp_path / there[0] / f"{i}.jpg", image)
            save(tmp_path / there[1] / f"{i}{'_mask' if same else ''}.png", mask)
    dataset = open_dataset(tmp_path)
    assert dataset.format == "folders"
    assert sizes(dataset) == {"train": 3, "val": 3}
    np.testing.assert_array_equal(dataset.split("val")[1].read_mask(), scene(1)[1])


def test_flat_folders_are_divided_the_same_each_time(tmp_path):
    first = open_dataset(folders(tmp_path / "a", 30))
    assert sizes(first) == {"train": 24, "val": 3, "test": 3}
    assert any("80/10/10" in note for note in first.notes)
    assert any("without a chosen split measures all" in note for note in first.notes)
    second = open_dataset(folders(tmp_path / "b", 30))
    names = [{k: [s.name for s in v] for k, v in d.splits.items()} for d in (first, second)]
    assert names[0] == names[1]
    together = sorted((n for part in names[0].values() for n in part), key=int)
    assert together == [str(i) for i in range(30)]


def test_binary_masks_and_their_smoothed_edges(tmp_path):
    root = folders(tmp_path, value=255, size=(96, 128))
    assert open_dataset(root).label_set.names == ("background", "foreground")
    assert open_dataset(root, classes=["person"]).label_set.names == ("background", "person")
    for path in (root / "masks").glob("*.png"):
        Image.open(path).convert("L").save(path.with_suffix(".jpg"), quality=80)
        path.unlink()
    dataset = open_dataset(root)
    assert "nearer of both" in " ".join(dataset.notes)
    np.testing.assert_array_equal(mask_of(dataset, "3"), scene(3, (96, 128))[1])


def test_ids_with_names_void_and_gaps(tmp_path):
    root = folders(tmp_path, value=3)
    assert open_dataset(root, classes=["a", "b", "c", "d"]).label_set.names[3] == "d"
    sparse = folders(tmp_path / "sparse", value=15)
    dataset = open_dataset(sparse)
    assert len(dataset.label_set) == 2
    assert set(np.unique(mask_of(dataset, "0"))) == {0, 1}
    without = open_dataset(root, classes=["b", "c", "d"], ignore=[0])
    assert set(np.unique(mask_of(without, "0"))) == {2, IGNORE}
    (root / "classes.txt").write_text("ground\nvoid\nother\nbox\n")
    dataset = open_dataset(root)
    assert dataset.label_set.names == ("ground", "other", "box")
    assert set(np.unique(mask_of(dataset, "0"))) == {0, 2}


def test_palette_masks_are_indices_unless_palettes_differ(tmp_path):
    colors = [(0, 0, 0), (200, 30, 30)]
    for i in range(6):
        image, mask = scene(i)
        save(tmp_path / "a/images" / f"{i}.png", image)
        save(tmp_path / "a/masks" / f"{i}.png", mask, palette=colors)
        save(tmp_path / "b/images" / f"{i}.png", image)
        odd = i % 2
        save(tmp_path / "b/masks" / f"{i}.png", mask ^ odd, palette=colors[:: -1 if odd else 1])
    same = open_dataset(tmp_path / "a")
    assert same.label_set.palette == tuple(colors)
    mixed = open_dataset(tmp_path / "b")
    for i in range(6):
        np.testing.assert_array_equal(mask_of(same, str(i)), scene(i)[1])
        np.testing.assert_array_equal(mask_of(mixed, str(i)), scene(i)[1])


@pytest.mark.parametrize("table", ["class_dict.csv", "labelmap.txt", None, "label_set"])
def test_colors(tmp_path, table):
    colors = np.array([(0, 0, 0), (128, 64, 32)], np.uint8)
    for i in range(6):
        image, mask = scene(i)
        save(tmp_path / "images" / f"{i}.jpg", image)
        save(tmp_path / "masks" / f"{i}.png", colors[mask])
    rows = {
        "class_dict.csv": "name,r,g,b\nbox,128,64,32\nground, 0,0,0\n",
        "labelmap.txt": "# label:color_rgb:parts\nbox:128,64,32::\nground:0,0,0::\n",
    }
    classes = None
    if table in rows:
        (tmp_path / table).write_text(rows[table])
    elif table:
        classes = LabelSet("mine", ("box", "ground"), ((128, 64, 32), (0, 0, 0)))
    dataset = open_dataset(tmp_path, classes=classes)
    names = ("box", "ground") if table else ("background", "#804020")
    assert dataset.label_set.names == names
    np.testing.assert_array_equal(mask_of(dataset, "2") == (not table), scene(2)[1] == 1)


def test_roboflow_masks_with_values(tmp_path):
    for i in range(4):
        image, mask = scene(i)
        save(tmp_path / "train" / f"{i}.jpg", image)
        save(tmp_path / "train" / f"{i}_mask.png", mask * 2)
    (tmp_path / "train/_classes.csv").write_text("Pixel Value, Class\n0, background\n2, box\n")
    dataset = open_dataset(tmp_path)
    assert dataset.label_set.names == ("background", "box")
    assert sizes(dataset) == {"train": 4}


def test_coco_crowd_overlap_and_names(tmp_path):
    crowd = {"category_id": 1, "image_id": 1, "iscrowd": 1,
             "segmentation": {"size": [24, 32], "counts": [0, 24 * 8, 24 * 24]}}  # fmt: skip
    rows = [box(2, 1, 2, 2, 20, 20), box(1, 1, 4, 4, 10, 10), crowd, box(3, 2, 1, 1, 9, 9)]
    kinds = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "Cat"}]
    dataset = open_dataset(coco(tmp_path, rows, categories=kinds))
    assert dataset.label_set.names == ("background", "cat", "dog")
    assert any("'cat' and 'Cat' are merged" in note for note in dataset.notes)
    ids = mask_of(dataset, "1")
    assert (ids[5, 5], ids[15, 15], ids[23, 1], ids[23, 31]) == (1, 2, IGNORE, 0)
    assert mask_of(dataset, "2")[5, 5] == 1
    some = open_dataset(tmp_path / "instances.json", classes=["dog"])
    assert some.label_set.names == ("background", "dog")
    assert set(np.unique(mask_of(some, "1"))) == {0, 1, IGNORE}


@pytest.mark.parametrize(
    "name", ["coco/instances.json", "facade/train", "facade/valid", "facade/test"]
)
def test_coco_annotations_are_those_of_pycocotools(shared, name, capsys):
    """Every seventh annotation of real files, against `COCO.annToMask`."""
    from pycocotools.coco import COCO

    path = shared / "data" / name
    path = path / "_annotations.coco.json" if path.is_dir() else path
    theirs = COCO(path)
    assert theirs.anns
    for key, row in list(theirs.anns.items())[::7]:
        image = theirs.imgs[row["image_id"]]
        size = image["height"], image["width"]
        mask = draw_shapes([Shape(1, row["segmentation"], str(key))], size)
        assert np.array_equal(mask, theirs.annToMask(row))


def test_facade_as_roboflow_exports_it(shared):
    dataset = open_dataset(shared / "data/facade")
    assert sizes(dataset) == {"train": 24, "val": 6, "test": 6}
    assert len(dataset.label_set) == 11
    assert sum("facade" in note for note in dataset.notes) == 1


def test_voc_tree_with_lists_and_cvat_colors(tmp_path):
    colors = np.array([(0, 0, 0), (250, 50, 83)], np.uint8)
    for i in range(3):
        image, mask = scene(i)
        save(tmp_path / "JPEGImages" / f"{i}.jpg", image)
        save(tmp_path / "SegmentationClass" / f"{i}.png", colors[mask])
    (tmp_path / "labelmap.txt").write_text("background:0,0,0::\nbox:250,50,83::\n")
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("0\n1\n")
    (lists / "val.txt").write_text("2\nmissing\n")
    with pytest.raises(
        DatasetError, match=r"val\.txt names 2 images, but 1 are not there, such as mis"
    ):
        open_dataset(tmp_path)
    (lists / "val.txt").write_text("2\n")
    dataset = open_dataset(tmp_path)
    assert dataset.format == "voc"
    assert sizes(dataset) == {"train": 2, "val": 1}
    assert dataset.label_set.names == ("background", "box")
    np.testing.assert_array_equal(mask_of(dataset, "2"), scene(2)[1])


def test_voc_itself(tmp_path):
    for name in ("2007_000001", "2007_000002"):
        image, mask = scene(1)
        save(tmp_path / "VOC2012/JPEGImages" / f"{name}.jpg", image)
        save(
            tmp_path / "VOC2012/SegmentationClass" / f"{name}.png",
            (255 - 240 * mask).astype(np.uint8),
        )
    dataset = open_dataset(tmp_path)
    assert dataset.label_set == load_label_set("voc")
    assert set(np.unique(dataset.split("train")[0].read_mask())) == {15, IGNORE}


def test_cityscapes(tmp_path):
    for split, city in (("train", "aachen"), ("val", "ulm"), ("test", "bonn")):
        stem = f"{city}_000001_000019"
        image, mask = scene(1)
        save(tmp_path / f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png", image)
        ids = np.where(mask, 26, 4).astype(np.uint8) * (split != "test")
        save(tmp_path / f"gtFine/{split}/{city}/{stem}_gtFine_labelIds.png", ids)
        save(tmp_path / f"gtFine/{split}/{city}/{stem}_gtFine_color.png", image)
    dataset = open_dataset(tmp_path)
    assert dataset.format == "cityscapes"
    assert sizes(dataset) == {"train": 1, "val": 1}
    car = dataset.label_set.names.index("car")
    ids = dataset.split("val")[0].read_mask()
    np.testing.assert_array_equal(ids, np.where(scene(1)[1], car, IGNORE))


def test_ade20k(tmp_path):
    for split, short in (("training", "train"), ("validation", "val")):
        image, mask = scene(1)
        save(tmp_path / f"images/{split}/ADE_{short}_00000001.jpg", image)
        save(tmp_path / f"annotations/{split}/ADE_{short}_00000001.png", mask * 150)
    dataset = open_dataset(tmp_path)
    assert dataset.format == "ade20k"
    assert dataset.label_set == load_label_set("ade20k")
    assert set(np.unique(dataset.split("val")[0].read_mask())) == {150, IGNORE}


def test_camvid(tmp_path):
    for i in range(3):
        image, mask = scene(i)
        save(tmp_path / f"train/0001TP_00{i}.png", image)
        save(tmp_path / f"trainannot/0001TP_00{i}.png", mask * np.uint8(11))
    dataset = open_dataset(tmp_path)
    assert dataset.format == "camvid"
    assert len(dataset.label_set) == 11
    assert set(np.unique(mask_of(dataset, "0001TP_001"))) == {0, IGNORE}


@pytest.mark.parametrize("names", ["[cat, dog]", "{0: cat, 1: dog}"])
def test_yolo(tmp_path, names):
    for split in ("train", "valid"):
        save(tmp_path / split / "images/a.jpg", scene(1)[0])
        save(tmp_path / split / "images/b.jpg", scene(2)[0])
        text = tmp_path / split / "labels/a.txt"
        text.parent.mkdir()
        text.write_text("1 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n\n")
        text.with_name("b.txt").write_text("")
    (tmp_path / "data.yaml").write_text(
        f"train: ../train/images\nval: ../valid/images\nnames: {names}\n"
    )
    dataset = open_dataset(tmp_path)
    assert dataset.format == "yolo"
    assert sizes(dataset) == {"train": 2, "val": 2}
    assert dataset.label_set.names == ("background", "cat", "dog")
    expected = np.zeros(SIZE, np.uint8)
    expected[6:18, 8:24] = 2
    np.testing.assert_array_equal(dataset.split("val")[0].read_mask(), expected)
    assert not dataset.split("val")[1].read_mask().any()
    assert sizes(open_dataset(tmp_path / "data.yaml")) == sizes(dataset)


def test_labelme(tmp_path):
    part = io.BytesIO()
    Image.fromarray(np.full((4, 4), 255, np.uint8)).save(part, "PNG")
    shapes = [
        {"label": "dog", "points": [[8, 6], [24, 6], [24, 18], [8, 18]], "shape_type": "polygon"},
        {"label": "cat", "points": [[0, 0], [4, 4]], "shape_type": "rectangle"},
        {"label": "cat", "points": [[28, 12], [28, 14]], "shape_type": "circle"},
        {"label": "__ignore__", "points": [[0, 20], [4, 24]], "shape_type": "rectangle"},
        {"label": "cat", "points": [[10, 8], [13, 11]], "shape_type": "mask",
         "mask": base64.b64encode(part.getvalue()).decode()},
        {"label": "dog", "points": [[1, 1]], "shape_type": "point"},
    ]  # fmt: skip
    for name in ("a", "b"):
        save(tmp_path / f"{name}.png", scene(1)[0])
        content = {"version": "5.5.0", "shapes": shapes, "imagePath": f"{name}.png",
                   "imageHeight": SIZE[0], "imageWidth": SIZE[1]}  # fmt: skip
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    dataset = open_dataset(tmp_path)
    assert dataset.format == "labelme"
    assert dataset.label_set.names == ("background", "cat", "dog")
    ids = mask_of(dataset, "a")
    assert (ids[1, 1], ids[12, 28], ids[22, 2]) == (1, 1, IGNORE)
    assert (ids[9, 11], ids[15, 15], ids[23, 31]) == (1, 2, 0)
    assert any("'point'" in note for note in dataset.notes)


def test_samples_travel_to_other_processes(tmp_path):
    sample = open_dataset(folders(tmp_path), classes=["box"], ignore=[0]).split("train")[0]
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(sample)).read_mask(), sample.read_mask()
    )


def test_masks_of_another_size_are_resized_by_the_nearest_pixel(tmp_path):
    image, mask = scene(1, (48, 64))
    save(tmp_path / "images/a.png", image)
    save(tmp_path / "masks/a.png", mask[::2, ::2])
    ids = mask_of(open_dataset(tmp_path), "a")
    np.testing.assert_array_equal(ids, np.repeat(np.repeat(mask[::2, ::2], 2, 0), 2, 1))


def test_the_documented_format_comes_before_plain_folders(tmp_path, monkeypatch):
    page = (ROOT / "docs/adding/dataset.md").read_text("utf-8")
    names = {}
    monkeypatch.setattr(DATASETS, "_entries", dict(DATASETS._entries))
    exec(page.partition("```python")[2].partition("```")[0], names)
    for i in range(5):
        image, mask = scene(i)
        save(tmp_path / f"{i}.jpg", image)
        save(tmp_path / f"{i}.png", mask)
    assert open_dataset(tmp_path).format == "folders"
    (tmp_path / "leaves.txt").touch()
    dataset = open_dataset(tmp_path)
    assert dataset.format == "leaves"
    np.testing.assert_array_equal(mask_of(dataset, "2"), scene(2)[1])


def test_formats_by_name(tmp_path):
    root = folders(tmp_path)
    assert open_dataset(root, format="folders").format == "folders"
    with pytest.raises(UnknownNameError, match="Did you mean 'folders'"):
        open_dataset(root, format="folder")
    with pytest.raises(DatasetError, match="JSON"):
        open_dataset(root, format="coco")


@pytest.mark.parametrize("name", list(DATASETS))
def test_no_format_recognizes_an_empty_folder(tmp_path, name):
    assert not DATASETS[name].detect(tmp_path)
