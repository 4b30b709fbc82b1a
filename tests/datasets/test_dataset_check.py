"""The doctor finds what it should find, and is silent about sound data."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.make_dataset import folders, save, scene
from PIL import Image

from easyseg.cli.check import check as command
from easyseg.datasets import open_dataset
from easyseg.datasets.check.check import check
from easyseg.datasets.check.sheet import draw_sheet

LARGE = (192, 256)


def told(root, **options):
    report = check(open_dataset(root, **options))
    assert not report.fatal
    return " ".join(report.warnings)


@pytest.fixture
def sound(tmp_path):
    return folders(tmp_path / "sound", 30, size=LARGE)


def test_counts_shares_and_proposal(sound):
    report = check(open_dataset(sound))
    assert report.counts == {"train": 24, "val": 3, "test": 3}
    assert report.pixels["val"].sum() == 3 * LARGE[0] * LARGE[1]
    assert report.pixels["val"][1] == 3 * LARGE[0] // 2 * LARGE[1] // 2
    assert report.warnings == []
    assert report.proposal.crop == (193, 257)
    assert report.proposal.class_weights == pytest.approx((0.667, 2), abs=1e-3)
    assert "ready to train" in str(report)


@pytest.mark.parametrize(("dy", "dx"), [(12, 0), (0, -14)])
def test_shifted_masks(sound, dy, dx):
    for path in (sound / "masks").iterdir():
        save(path, np.roll(np.asarray(Image.open(path)), (dy, dx), (0, 1)))
    text = told(sound)
    assert "shifted" in text
    assert f"{-dx:+d} pixels to the right and {-dy:+d} down" in text


def test_mirrored_masks(sound):
    for path in (sound / "masks").iterdir():
        save(path, np.ascontiguousarray(np.asarray(Image.open(path))[:, ::-1]))
    assert "mirrored" in told(sound)


@pytest.mark.parametrize(
    "name",
    ["coco", *(pytest.param(n, marks=pytest.mark.slow) for n in ("camvid", "human", "facade"))],
)
def test_sound_data_are_not_called_shifted(shared, name):
    text = told(shared / "data" / name)
    assert "shifted" not in text
    assert "mirrored" not in text
    assert "another split" not in text


def test_leaks_between_splits(sound):
    dataset = open_dataset(sound)
    leaked = dataset.split("train")[0]
    copy = Image.open(leaked.image)
    copy.resize((300, 225)).save(dataset.split("val")[0].image, quality=90)
    save(dataset.split("val")[0].mask, np.zeros((225, 300), np.uint8))
    text = told(sound)
    assert "nearly the same as one of another split" in text
    assert str(leaked.image) in text


def test_suspicious_masks(tmp_path):
    root = folders(tmp_path, 12, value=255, size=LARGE)
    for path in sorted((root / "masks").iterdir())[:3]:
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    for path in sorted((root / "masks").glob("*.png"))[:8]:
        save(path, np.zeros(LARGE, np.uint8))
    text = told(root)
    assert "3 masks are JPEG files" in text
    assert "8 of 12 masks have nothing but 'background'" in text


def test_ignored_rare_and_missing_classes(tmp_path):
    root = folders(tmp_path, 12, size=LARGE)
    mask = np.zeros(LARGE, np.uint8)
    mask[0, 0] = 2
    save(root / "masks/0.png", mask)
    save(root / "masks/1.png", np.full(LARGE, 255, np.uint8))
    text = told(root, classes=["a", "b", "c", "d"])
    assert "1 masks have no pixel that counts" in text
    assert "do not occur in any mask: d" in text
    assert (
        "c" in text.partition("less than 0.1 %")[2] + text.partition("but not in the training")[2]
    )


def test_images_that_exif_turns(tmp_path):
    root = folders(tmp_path, 6)
    exif = Image.Exif()
    exif[274] = 3
    Image.fromarray(scene(0)[0]).save(root / "images/0.png", exif=exif)
    text = told(root)
    assert "1 images are turned by their EXIF tag" in text
    assert f"the first: {root / 'images/0.png'}" in text


def test_quick_reads_no_image(sound):
    image = sound / "images/7.png"
    content = image.read_bytes()
    image.write_bytes(content[: len(content) // 2])
    dataset = open_dataset(sound)
    assert not check(dataset, quick=True).fatal
    assert "images/7.png" in check(dataset).fatal[0]


def test_sheet(sound):
    dataset = open_dataset(sound)
    sheet = draw_sheet(dataset, count=8)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == 4 * 320
    color = dataset.label_set.palette[1]
    assert (sheet == color).all(axis=2).any()


def test_command(sound, tmp_path):
    sheet = tmp_path / "out/sheet.png"
    result = CliRunner().invoke(command, [str(sound), "--sheet", str(sheet), "--classes", "a,b"])
    assert result.exit_code == 0, result.output
    assert "train 24, val 3, test 3" in result.output
    assert Image.open(sheet).size[0] == 4 * 320
    (sound / "masks/3.png").write_text("not an image")
    result = CliRunner().invoke(command, [str(sound), "--quick"])
    assert result.exit_code == 1
    assert "masks/3.png" in result.output
