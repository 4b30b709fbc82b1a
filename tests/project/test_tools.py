"""The embedded model's tools run, resume after a stop, and make a bundle that opens."""

from __future__ import annotations

import csv
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers.paths import ROOT

from easyseg import SemanticSegmentation

pytestmark = pytest.mark.slow


@pytest.fixture
def voc(shared, tmp_path):
    """A few real pairs in VOC layout."""
    source, folder = shared / "data/voc", tmp_path / "voc"
    names = (source / "ImageSets/Segmentation/train.txt").read_text().split()[:60]
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / part).mkdir(parents=True)
    for name in names:
        for part, suffix in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
            (folder / part / f"{name}{suffix}").symlink_to(source / part / f"{name}{suffix}")
    (folder / "ImageSets/Segmentation/train.txt").write_text("\n".join(names))
    return folder


def tool(name, *args, home):
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / name, *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "EASYSEG_HOME": str(home)},
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_train_stop_resume_and_save(voc, voc_home, tmp_path):
    script, cache, run = "train_embedded.py", tmp_path / "cache", tmp_path / "run"
    tool(script, "prepare", "mini", "--voc", voc, "--cache", cache, home=voc_home)
    train = ("train", "mini", "--cache", cache, "--run", run, "--images-seen", 128, "--epoch", 32)
    tool(script, *train, home=voc_home)
    with (run / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["mode"] for row in rows] == ["blocks"] * 2 + ["whole"] * 3
    assert all(np.isfinite(float(row["loss"])) for row in rows)
    state = (run / "state.npz").stat().st_mtime_ns
    tool(script, *train, home=voc_home)  # nothing is left to do
    assert (run / "state.npz").stat().st_mtime_ns == state

    tool(script, "save", "mini", tmp_path / "small", "--run", run, home=voc_home)
    seg = SemanticSegmentation(tmp_path / "small")
    assert seg.segment_image(np.zeros((40, 60, 3), np.uint8)).labels.shape == (40, 60)

    again = tmp_path / "again"
    options = ("--run", again, "--start", tmp_path / "small", "--images-seen", 96, "--epoch", 32)
    tool(script, "train", "mini", "--cache", cache, *options, home=voc_home)
    with (again / "curve.csv").open() as file:
        assert {row["mode"] for row in csv.DictReader(file)} == {"whole"}


def test_a_model_of_two_teachers(voc, shared, voc_home, tmp_path):
    script, cache, run = "train_embedded.py", tmp_path / "cache", tmp_path / "run"
    teacher = shared / "weights/mlperf_mnv2_deeplabv3plus_ade20k32_ptq.tflite"
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in (shared / "data/photos/dog.jpg", shared / "data/photos/city_0.jpg"):
        (photos / path.name).symlink_to(path)
    found = ("--voc", voc, "--images", photos, "--teacher", teacher, "--cache", cache)
    facade = shared / "data/facade/test"
    tool(script, "prepare", "scenes", *found, "--facade", facade, home=voc_home)
    train = ("train", "scenes", "--cache", cache, "--run", run, "--images-seen", 64, "--epoch", 32)
    tool(script, *train, home=voc_home)
    tool(script, "save", "scenes", tmp_path / "small", "--run", run, home=voc_home)
    names = SemanticSegmentation(tmp_path / "small").label_set.names
    (dog,) = cache.glob("photos_dog_*.npz")
    with np.load(dog) as data:
        seen = {names[i] for i in np.unique(data["answer"].argmax(-1))}
    assert {"animal", "car"} <= seen  # of the second teacher
    true = set()
    for path in cache.glob("facade_*.npz"):
        with np.load(path) as data:
            true |= {names[i] for i in np.unique(data["label"]) if i < len(names)}
    assert {"building", "windowpane"} <= true <= {"building", "windowpane", "car", "road", "tree"}


def test_the_card(voc, voc_home, tmp_path, shared):
    import shutil

    from easyseg.utils.resources import pretrained_path

    bundle = tmp_path / "mini"
    shutil.copytree(pretrained_path("mini"), bundle)
    curve = tmp_path / "curve.csv"
    curve.write_text("epoch,seen,images,mode,crop,miou,person\n1,2000,60,whole,97,0.5,0.6\n")
    arguments = ("--labeled", voc, "--split", "train", "--curve", curve)
    tool("card_embedded.py", bundle, *arguments, home=voc_home)
    card = (bundle / "card.md").read_text("utf-8")
    assert "60 images" in card
    assert "| 2,000 | whole | 97 | 0.5 | 0.6 |" in card
