"""PostScript under the name of an image starts no program, whatever opens it."""

from __future__ import annotations

import pytest
from helpers import fake_ghostscript, square_dataset
from helpers.fake_ghostscript import eps
from helpers.make_dataset import folders

from easyseg import SemanticSegmentation
from easyseg.datasets import open_dataset
from easyseg.datasets.check import check_dataset
from easyseg.errors import EasysegError

CLASS_MAP = {"class 0": "ground", "class 1": "blue", "class 2": None}
REFUSED = "not an image in a format that easyseg reads"


@pytest.fixture
def started(tmp_path, monkeypatch):
    return fake_ghostscript.install(tmp_path, monkeypatch)


@pytest.mark.parametrize("name", ["images/3.png", "masks/3.png"])
@pytest.mark.parametrize("quick", [False, True])
def test_check(started, tmp_path, name, quick):
    root = folders(tmp_path / "data")
    eps(root / name)
    report = check_dataset(open_dataset(root), quick=quick)
    assert any(REFUSED in str(problem) for problem in report.errors)
    assert not started.exists()


@pytest.mark.parametrize("name", ["images/train/3.png", "masks/train/3.png", "masks/val/1.png"])
def test_training_and_evaluation(started, tmp_path, name):
    root = square_dataset.paint(tmp_path / "data")
    eps(root / name)
    seg = SemanticSegmentation(square_dataset.start())
    with pytest.raises(EasysegError, match=REFUSED):
        seg.fine_tune(root, run_dir=tmp_path / "run", progress=False, **square_dataset.QUICK)
    split = name.split("/")[1]
    with pytest.raises(EasysegError, match=REFUSED):
        seg.evaluate(root, split=split, class_map=CLASS_MAP, progress=False)
    assert not started.exists()


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_images_and_backgrounds(started, tmp_path, extension):
    seg = SemanticSegmentation(square_dataset.start())
    photo = folders(tmp_path / "data", 1) / "images/0.png"
    bad = eps(tmp_path / f"bad{extension}")
    for call in (
        lambda: seg.segment_image(bad),
        lambda: seg.change_background(photo, bad, keep="blue"),
        lambda: seg.change_background(bad, photo, keep="blue"),
        lambda: seg.blur_background(bad, keep="blue"),
    ):
        with pytest.raises(EasysegError, match=REFUSED):
            call()
    assert not started.exists()
