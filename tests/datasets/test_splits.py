"""The one rule for splits that are missing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.make_dataset import SIZE, folders, save, scene

from easyseg.datasets import open_dataset
from easyseg.datasets.check import check_dataset
from easyseg.datasets.splits import with_validation_split
from easyseg.errors import DatasetError, InputError


@pytest.fixture
def divided(tmp_path):
    """A data set whose files name no splits."""
    return open_dataset(folders(tmp_path / "plain", 20))


def names(samples):
    return [sample.name for sample in samples]


def test_a_missing_validation_split_is_held_out_of_training(divided):
    only = dataclasses.replace(divided, splits={"train": divided.split("train")})
    first, second = with_validation_split(only), with_validation_split(only)
    assert names(first.split("val")) == names(second.split("val"))
    assert len(first.split("val")) == 2
    assert sorted(names([*first.split("train"), *first.split("val")])) == sorted(
        names(only.split("train"))
    )
    assert "2 training samples are held out" in first.notes[-1]
    assert with_validation_split(first) is first
    assert names(check_dataset(only).dataset.split("val")) == names(first.split("val"))


def test_a_single_image_is_used_for_validation_too(divided):
    only = dataclasses.replace(divided, splits={"train": divided.split("train")[:1]})
    both = with_validation_split(only)
    assert both.split("val") == both.split("train")
    assert "also used for validation" in both.notes[-1]


def test_without_own_splits_all_samples_are_evaluated_by_default(divided):
    assert not divided.has_own_splits
    assert divided.default_split == "all"
    assert len(divided.split()) == len(divided.split("all")) == 20
    assert len(divided.split("val")) == 2


def test_own_splits_are_kept(tmp_path):
    for split, count in (("train", 3), ("test", 2)):
        for i in range(count):
            image, mask = scene(i)
            save(tmp_path / f"images/{split}/{i}.png", image)
            save(tmp_path / f"masks/{split}/{i}.png", mask)
    dataset = open_dataset(tmp_path)
    assert dataset.has_own_splits
    assert dataset.default_split == "val"
    assert {split: len(part) for split, part in dataset.splits.items()} == {"train": 3, "test": 2}
    every = names(dataset.split("all"))
    assert len(set(every)) == 5  # names occur in both splits
    assert "test/0" in every
    with pytest.raises(InputError, match=r"no split 'valid'; choose one of: .*test \(2\), all"):
        dataset.split("valid")


@pytest.mark.parametrize("labeled", [(3, 7), (0, 4, 9), range(5)])
@pytest.mark.parametrize("own_train", [False, True])
def test_no_split_that_is_made_has_ignored_pixels_only(tmp_path, labeled, own_train):
    inner = "train" if own_train else ""
    root = folders(tmp_path, 10, images=f"images/{inner}", masks=f"masks/{inner}")
    for i in set(range(10)) - set(labeled):
        save(root / f"masks/{inner}/{i}.png", np.full(SIZE, 255, np.uint8))
    reports = [check_dataset(open_dataset(root, classes=["ground", "box"])) for _ in range(2)]
    assert not reports[0].errors
    for split in ("train", "val"):
        assert reports[0].pixels[split].any()
    first, again = ([names(part) for part in r.dataset.splits.values()] for r in reports)
    assert first == again
    assert sorted((name for part in first for name in part), key=int) == [str(i) for i in range(10)]


def test_a_single_mask_with_a_class_is_for_training(tmp_path):
    root = folders(tmp_path, 6)
    for i in range(5):
        save(root / f"masks/{i}.png", np.full(SIZE, 255, np.uint8))
    report = check_dataset(root)
    assert report.pixels["train"].any()
    (message,) = report.errors
    assert "and all other masks of val have ignored pixels only (255); label more images" in message
    save(root / "masks/0.png", scene(0)[1])
    assert not check_dataset(root).errors


def test_a_mask_that_cannot_be_read_is_left_to_the_check(tmp_path):
    root = folders(tmp_path, 2)
    for i in range(2):
        (root / f"masks/{i}.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"masks/0\.png"):
        open_dataset(root)
    save(root / "masks/0.png", np.ones(SIZE, np.uint8))
    assert "masks/1.png" in check_dataset(root).errors[0]
