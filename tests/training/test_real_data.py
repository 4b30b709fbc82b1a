"""Runs on other people's images: one that learns them by heart, and one on an export as it is."""

import csv
import dataclasses

import numpy as np
import pytest

from easyseg import SemanticSegmentation
from easyseg.datasets import open_dataset
from easyseg.datasets.check import check_dataset

pytestmark = pytest.mark.slow

CLASSES = ("person", "giraffe", "motorcycle", "bed", "zebra", "umbrella", "donut", "bowl")
SMALL = {"input_size": (257, 257), "batch_size": 2, "progress": False}


def shown(sample):
    """The fraction of an image that its objects cover."""
    return np.count_nonzero(sample.read_mask()) / sample.read_mask().size


def test_a_run_overfits_coco(shared, tmp_path):
    """Ten images and eight classes of large objects, overfitted."""
    data = open_dataset(shared / "data/coco", classes=CLASSES)
    samples = [sample for split in data.splits.values() for sample in split]
    chosen = sorted(samples, key=shown)[-10:]
    data = dataclasses.replace(data, splits={"train": chosen, "val": chosen})
    choices = {"epochs": 40, "learning_rate": 1e-3, "augment": [], "dropout": 0.0}
    choices |= {"freeze_backbone_epochs": 0, "val_images": 3}
    mine = SemanticSegmentation("mini").fine_tune(
        data, run_dir=tmp_path / "coco", **SMALL, **choices
    )
    scores = mine.evaluate(data, split="train", boundary=False, progress=False)
    assert scores.mean_iou > 0.8
    assert scores.pixel_accuracy > 0.94
    assert np.nanmin(scores.iou) > 0.6


def test_facade_is_checked_explained_and_trained_as_it_is(shared, tmp_path):
    """Roboflow exports a category that groups the others, under the name of one of them."""
    folder = shared / "data/facade"
    report = str(check_dataset(open_dataset(folder)))
    explained = "Category 0 'facade' only groups the others and has no objects: it is left out"
    assert f"{explained} (category 3 has the same name)" in report
    assert "Ready to train." in report.splitlines()
    mine = SemanticSegmentation("mini").fine_tune(
        folder, run_dir=tmp_path / "facade", epochs=4, **SMALL
    )
    assert mine.label_set.names[0] == "background"
    assert mine.label_set.names.count("facade") == 1
    run = tmp_path / "facade"
    assert explained in (run / "report.html").read_text("utf-8").replace("&#x27;", "'")
    rows = list(csv.DictReader((run / "results.csv").read_text().splitlines()))
    assert [row["phase"] for row in rows] == ["frozen", "all", "all", "all"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    scores = mine.evaluate(folder, split="test", boundary=False, progress=False)
    assert len(scores.images) == 6
    assert scores.pixel_accuracy > 0.5
