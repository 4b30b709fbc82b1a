"""What is wrong with a data set is one clear error or note, which names the file."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.make_dataset import SIZE, box, coco, folders, save, scene

from easyseg.datasets import open_dataset
from easyseg.datasets.check import check_dataset
from easyseg.errors import DatasetError, InputError


def runs(size, counts):
    return {"category_id": 1, "image_id": 1, "segmentation": {"size": size, "counts": counts}}


def first_error(dataset) -> str:
    report = check_dataset(dataset)
    with pytest.raises(DatasetError) as caught:
        report.raise_errors()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nothing_there(tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="holds no images"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("source", [None, ["a.png"], 5])
def test_a_source_of_the_wrong_type(source):
    with pytest.raises(InputError, match="must be a name or a path or a Dataset"):
        open_dataset(source)


@pytest.mark.parametrize("classes", ["person,car", 5])
def test_classes_that_are_not_a_list(tmp_path, classes):
    with pytest.raises(InputError, match="must be a list"):
        open_dataset(folders(tmp_path), classes=classes)


def test_images_without_any_mask(tmp_path):
    save(tmp_path / "images/a.jpg", scene(1)[0])
    with pytest.raises(DatasetError, match="1 images, but no masks"):
        open_dataset(tmp_path)
    save(tmp_path / "masks/b.png", scene(1)[1])
    with pytest.raises(DatasetError, match="none with the same name"):
        open_dataset(tmp_path, format="folders")


def test_some_without_a_mask_and_the_reverse(tmp_path):
    root = folders(tmp_path)
    (root / "masks/3.png").unlink()
    (root / "images/5.png").unlink()
    dataset = open_dataset(root)
    assert [p.name for p in dataset.images_without_mask] == ["3.png"]
    assert [p.name for p in dataset.masks_without_image] == ["5.png"]
    message = " ".join(check_dataset(dataset).warnings)
    assert "images/3.png" in message
    assert "masks/5.png" in message


def test_two_masks_for_one_image(tmp_path):
    root = folders(tmp_path)
    save(root / "masks/3.tif", scene(3)[1])
    with pytest.raises(DatasetError, match=r"3\.png has two masks"):
        open_dataset(root)


def test_ids_of_no_class(tmp_path):
    root = folders(tmp_path, value=3)
    message = first_error(open_dataset(root, classes=["a", "b"]))
    assert "ids of no class: 3" in message
    assert "masks/" in message


def test_colors_of_no_class(tmp_path):
    root = folders(tmp_path)
    (root / "class_dict.csv").write_text("name,r,g,b\na,0,0,0\nb,9,9,90\n")
    for i in range(10):
        colors = np.array([(0, 0, 0), (9, 9, 90) if i != 4 else (7, 7, 70)], np.uint8)
        save(root / f"masks/{i}.png", colors[scene(i)[1]])
    message = first_error(open_dataset(root))
    assert "masks/4.png" in message
    assert "(7, 7, 70)" in message


def test_photographs_instead_of_masks(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(4):
        save(tmp_path / f"images/{i}.png", scene(i)[0])
        save(tmp_path / f"masks/{i}.png", rng.integers(0, 256, (64, 64), np.uint8))
    with pytest.raises(DatasetError, match="look like photographs"):
        open_dataset(tmp_path)
    for i in range(4):
        save(tmp_path / f"masks/{i}.png", rng.integers(0, 256, (64, 64, 3), np.uint8))
    with pytest.raises(DatasetError, match="look like photographs"):
        open_dataset(tmp_path)


def test_ids_in_jpegs(tmp_path):
    for i in range(4):
        image, mask = scene(i)
        save(tmp_path / f"images/{i}.png", image)
        save(tmp_path / f"masks/{i}.jpg", mask * np.uint8(9))
    for classes in (None, [str(i) for i in range(10)]):
        with pytest.raises(DatasetError, match=r"masks/0\.jpg is a JPEG, which changes ids"):
            open_dataset(tmp_path, classes=classes)


def test_one_image(tmp_path):
    report = check_dataset(open_dataset(folders(tmp_path, 1)))
    assert not report.errors
    assert any("a single image" in text for text in report.warnings)
    assert any("also used for validation" in note for note in report.dataset.notes)


@pytest.mark.parametrize(("value", "what"), [(0, "one class only"), (255, "ignored pixels only")])
def test_nothing_to_learn(tmp_path, value, what):
    root = folders(tmp_path, value=0)
    for path in (root / "masks").iterdir():
        save(path, np.full(SIZE, value, np.uint8))
    names = ["a", "b", "c"] if value else None
    message = first_error(open_dataset(root, classes=names))
    assert what in message
    assert "masks/" in message


def test_one_class_of_several(tmp_path):
    message = first_error(open_dataset(folders(tmp_path, value=0), classes=["a", "b"]))
    assert "one class only, 'a'" in message


def test_unreadable_files_in_the_middle(tmp_path):
    root = folders(tmp_path)
    for name in ("images/4.png", "masks/6.png"):
        content = (root / name).read_bytes()
        (root / name).write_bytes(content[: len(content) // 2])
    report = check_dataset(open_dataset(root))
    assert len(report.errors) == 2
    assert any("images/4.png" in text for text in report.errors)
    assert any("masks/6.png" in text for text in report.errors)
    (root / "masks/6.png").write_text("not an image")
    assert any("masks/6.png" in text for text in check_dataset(open_dataset(root)).errors)


def test_names_with_odd_characters(tmp_path):
    root = folders(tmp_path)
    (root / "classes.txt").write_bytes("\ufeffground, wet\n  bo\tx \u00e9/\u4e2d\n".encode())
    assert open_dataset(root).label_set.names == ("ground, wet", "bo x \u00e9/\u4e2d")
    (root / "classes.txt").write_text("a\nA \n")
    dataset = open_dataset(root)
    assert dataset.label_set.names == ("a",)
    assert "Classes 'a' and 'A' are merged." in dataset.notes
    (root / "classes.txt").unlink()
    (root / "class_dict.csv").write_text("name,r,g,b\na,0,0\n")
    with pytest.raises(DatasetError, match="is not a list of classes"):
        open_dataset(root)


def test_coco_with_missing_images_and_empty_polygons(tmp_path):
    empty = {"category_id": 1, "image_id": 2, "segmentation": []}
    root = coco(tmp_path, [box(1, 1, 2, 2, 20, 20), empty, box(1, 9, 1, 1, 5, 5)])
    (root / "images/2.png").unlink()
    dataset = open_dataset(root)
    message = " ".join(dataset.notes)
    assert "missing images, left out: 1, such as 2.png" in message
    assert "annotations of images that are not listed: 1" in message
    save(root / "images/2.png", scene(2)[0])
    dataset = open_dataset(root)
    assert "boxes and points without an outline, left out: 1" in " ".join(dataset.notes)
    assert not {s.name: s for v in dataset.splits.values() for s in v}["2"].read_mask().any()
    for i in (1, 2):
        (root / f"images/{i}.png").unlink()
    with pytest.raises(DatasetError, match="none of the images"):
        open_dataset(root)


def test_images_that_coco_does_not_list(tmp_path):
    root = coco(tmp_path, [box(1, 1, 2, 2, 20, 20)])
    save(root / "images/3.png", scene(3)[0])
    save(root / "charts/loss.png", scene(4)[0])
    dataset = open_dataset(root)
    assert [p.name for p in dataset.images_without_mask] == ["3.png"]
    message = " ".join(check_dataset(dataset).warnings)
    assert (
        f"images without a mask, which are not used: 1, such as {root / 'images/3.png'}" in message
    )
    assert "images without annotations, all background: 1" in " ".join(dataset.notes)
    assert not open_dataset(root / "instances.json").images_without_mask


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (box(7, 1, 1, 1, 5, 5), "category 7"),
        (box(1, 1, 1, 1, float("nan"), 5), "corner"),
        (box(1, 1, 1, 1, 4000, 5), "corner"),
        (box(1, 1, 1, 1, "wide", 5), "corner"),
        (runs([24, 32], [5, 5]), "run lengths"),
        (runs([9, 9], "11"), "run lengths"),
        ({"category_id": 1, "image_id": 1, "bbox": [1, 1, 5, 5]}, "no polygons or masks"),
    ],
)  # fmt: skip
def test_coco_annotations_that_cannot_be_drawn(tmp_path, row, what):
    root = coco(tmp_path, [row])
    with pytest.raises(DatasetError, match=what):
        check_dataset(open_dataset(root)).raise_errors()


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("3 0.1 0.1 0.2 0.2 0.3 0.1", "class 3"),
        ("0 10 10 200 10 200 200", "outside 0 to 1"),
        ("0 0.1 cat", "not `class x y"),
        ("cat 0.1 0.1", "class in line 1"),
        ("0 0.1 0.1 0.2 0.2 0.3", "5 numbers"),
    ],
)
def test_yolo_lines_that_cannot_be_drawn(tmp_path, line, what):
    for i in range(2):
        save(tmp_path / f"images/{i}.png", scene(i)[0])
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / f"labels/{i}.txt").write_text(line)
    (tmp_path / "data.yaml").write_text("names: [cat]")
    message = first_error(open_dataset(tmp_path))
    assert what in message
    assert "line 1 of" in message


def test_sizes_that_do_not_match(tmp_path):
    root = folders(tmp_path)
    save(root / "masks/7.png", scene(7)[1][:, :20])
    message = first_error(open_dataset(root))
    assert "masks/7.png (20x24) does not fit" in message
    assert "images/7.png (32x24)" in message
    save(root / "masks/7.png", np.ascontiguousarray(scene(7)[1].T))
    assert "rotate the mask" in first_error(open_dataset(root))


def test_every_format_refuses_a_folder_that_is_not_in_it(tmp_path):
    from easyseg.datasets import DATASETS

    save(tmp_path / "photo.jpg", scene(0)[0])
    for name in DATASETS:
        with pytest.raises(DatasetError, match=tmp_path.name):
            open_dataset(tmp_path, format=name)
