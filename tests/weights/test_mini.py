"""The embedded model: at once, without a network, and good enough."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import easyseg
from easyseg import SemanticSegmentation, api
from easyseg.evaluation.metrics import ConfusionMatrix
from easyseg.utils.resources import pretrained_path

BUNDLE = pretrained_path("mini")


@pytest.fixture(scope="module")
def mini():
    return SemanticSegmentation("mini")


def test_it_is_the_default_and_says_so_once(caplog):
    api._log_default.cache_clear()
    with caplog.at_level(logging.WARNING):
        first, second = SemanticSegmentation(), SemanticSegmentation()
    assert first.name == second.name == "mini"
    (line,) = [r.getMessage() for r in caplog.records if r.name.startswith("easyseg")]
    assert 'SemanticSegmentation("xception65.ade20k")' in line
    assert "mini" in easyseg.list_models()


def test_it_finds_a_person_and_a_cat(mini, samples):
    for image, name, least in zip(samples, ("person", "cat"), (0.25, 0.5), strict=True):
        result = mini.segment_image(image)
        assert dict(zip(result.class_names, result.ratios, strict=True))[name] > least


def test_a_folder_called_mini_that_is_no_bundle_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mini").mkdir()
    assert len(SemanticSegmentation("mini").label_set) == 21


@pytest.mark.slow
def test_its_card_tells_the_truth(mini, shared, record_property):
    """On images of VOC val, none of which it was trained on."""
    folder = shared / "data/voc"
    names = (folder / "ImageSets/Segmentation/val.txt").read_text().split()
    matrix = ConfusionMatrix(21)
    images = (folder / f"JPEGImages/{name}.jpg" for name in names)
    for name, result in zip(names, mini.segment_images(images), strict=True):
        with Image.open(folder / f"SegmentationClass/{name}.png") as ground_truth:
            matrix.update(np.asarray(ground_truth), result.labels)
    record_property("miou", matrix.mean_iou())
    card = (BUNDLE / "card.md").read_text("utf-8")
    said = float(card.split("**mIoU ")[1].split(",")[0])
    assert abs(matrix.mean_iou() - said) < 0.002


def offline(tmp_path):
    names = ("PATH", "LD_LIBRARY_PATH")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "HOME": str(tmp_path), "EASYSEG_OFFLINE": "1"}


def test_demo(tmp_path, samples):
    done = subprocess.run(
        [sys.executable, "-m", "easyseg", "demo"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=offline(tmp_path),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "person" in done.stdout
    assert "cat" in done.stdout
    assert "wall" in done.stdout  # of scenes
    written = sorted(path.name for path in (tmp_path / "demo-output").iterdir())
    kinds = ("cutout", "mask", "overlay")
    stems = (f"{n}{m}" for n in ("astronaut", "chelsea") for m in ("", ".scenes"))
    assert written == sorted(f"{s}.{k}.png" for s in stems for k in kinds)
    for stem in ("astronaut", "astronaut.scenes", "chelsea", "chelsea.scenes"):
        with Image.open(tmp_path / f"demo-output/{stem}.cutout.png") as cutout:
            assert cutout.mode == "RGBA"
            assert cutout.getchannel("A").getextrema() == (0, 255)


def test_demo_without_its_images(monkeypatch, capsys):
    from easyseg.cli import demo, main

    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SystemExit) as caught:
        main(["demo"])
    assert caught.value.code == 2
    assert "pip install 'easyseg[demo]'" in capsys.readouterr().err
