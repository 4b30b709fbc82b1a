"""A check reports what is wrong, and nothing about clean data."""

from __future__ import annotations

import re

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.make_dataset import box, coco, folders, save, scene
from PIL import Image

from easyseg.cli.check import check as command
from easyseg.datasets import open_dataset
from easyseg.datasets.check import check_dataset
from easyseg.datasets.check.sheet import dataset_sheet
from easyseg.io.read_image import read_image

LARGE = (192, 256)


def warnings_of(root, **options):
    report = check_dataset(open_dataset(root, **options))
    assert not report.errors
    return " ".join(report.warnings)


@pytest.fixture
def clean(tmp_path):
    return folders(tmp_path / "clean", 30, size=LARGE)


def test_counts_shares_and_proposal(clean):
    report = check_dataset(open_dataset(clean))
    assert report.counts == {"train": 24, "val": 3, "test": 3}
    assert report.pixels["val"].sum() == 3 * LARGE[0] * LARGE[1]
    assert report.pixels["val"][1] == 3 * LARGE[0] // 2 * LARGE[1] // 2
    assert report.warnings == []
    assert report.proposal.crop == (193, 257)
    assert report.proposal.class_weights == pytest.approx((0.667, 2), abs=1e-3)
    assert str(report).endswith("Ready to train.")


@pytest.mark.parametrize(
    "name",
    ["coco", *(pytest.param(n, marks=pytest.mark.slow) for n in ("camvid", "human", "facade"))],
)
def test_public_data_sets_have_no_leaks(shared, name):
    text = warnings_of(shared / "data" / name)
    assert "another split" not in text


def test_leaks_between_splits(clean):
    dataset = open_dataset(clean)
    leaked = dataset.split("train")[0]
    copy = Image.open(leaked.image)
    copy.resize((300, 225)).save(dataset.split("val")[0].image, quality=90)
    save(dataset.split("val")[0].mask, np.zeros((225, 300), np.uint8))
    text = warnings_of(clean)
    assert "nearly the same as one of another split" in text
    assert str(leaked.image) in text


def test_suspicious_masks(tmp_path):
    root = folders(tmp_path, 12, value=255, size=LARGE)
    for path in sorted((root / "masks").iterdir())[:3]:
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    for path in sorted((root / "masks").glob("*.png"))[:8]:
        save(path, np.zeros(LARGE, np.uint8))
    text = warnings_of(root)
    assert "JPEG masks: ids change at edges: 3" in text
    assert "masks with 'background' only: 8 of 12" in text


def test_an_empty_mask_of_a_file_for_all_images_is_named_by_its_image(tmp_path):
    rows = [{"id": i, "file_name": f"{i}.png", "height": 24, "width": 32} for i in range(1, 13)]
    for i in range(3, 13):
        save(tmp_path / "images" / f"{i}.png", scene(i)[0])
    cats = [box(1, i, 2, 2, 20, 20) for i in (1, 3, 5, 7)]
    text = warnings_of(coco(tmp_path, cats, images=rows))
    named = re.search(r"masks with 'background' only: 8 of 12, such as (\S+);", text)
    assert named[1] in [str(tmp_path / f"images/{i}.png") for i in (2, 4, 6, *range(8, 13))]


def test_ignored_rare_and_missing_classes(tmp_path):
    root = folders(tmp_path, 12, size=LARGE)
    mask = np.zeros(LARGE, np.uint8)
    mask[0, 0] = 2
    save(root / "masks/0.png", mask)
    save(root / "masks/1.png", np.full(LARGE, 255, np.uint8))
    text = warnings_of(root, classes=["a", "b", "c", "d"])
    assert "masks with ignored pixels only, which are not used: 1" in text
    assert "classes in no mask: 1 (d)" in text
    assert (
        "rare classes, for which class weights help: 1 (c)" in text
        or "no training mask: 1 (c)" in text
    )


def test_images_that_exif_rotates(tmp_path):
    root = folders(tmp_path, 6)
    exif = Image.Exif()
    exif[274] = 3
    Image.fromarray(scene(0)[0]).save(root / "images/0.png", exif=exif)
    text = warnings_of(root)
    assert "images rotated by their EXIF tag" in text
    assert f"1, such as {root / 'images/0.png'}" in text


def test_quick_reads_no_image(clean):
    image = clean / "images/7.png"
    content = image.read_bytes()
    image.write_bytes(content[: len(content) // 2])
    dataset = open_dataset(clean)
    assert not check_dataset(dataset, quick=True).errors
    assert "images/7.png" in check_dataset(dataset).errors[0]


def test_sheet(clean):
    dataset = open_dataset(clean)
    sheet = dataset_sheet(dataset, count=8)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == 4 * 326 + 6
    color = dataset.label_set.palette[1]
    assert (sheet == color).all(axis=2).any()


def test_command(clean, tmp_path):
    sheet = tmp_path / "out/sheet.png"
    result = CliRunner().invoke(command, [str(clean), "--sheet", str(sheet), "--classes", "a,b"])
    assert result.exit_code == 0, result.output
    assert "train 24, val 3, test 3" in result.output
    assert read_image(sheet).shape[1] == 4 * 326 + 6
    (clean / "masks/3.png").write_text("not an image")
    result = CliRunner().invoke(command, [str(clean), "--quick"], standalone_mode=False)
    assert result.return_value == 1
    assert "masks/3.png" in result.output


def test_ignored_pixels_are_always_stated(tmp_path):
    root = folders(tmp_path, 10, size=LARGE)
    report = check_dataset(root)
    assert [report.scan.ignored(split) for split in report.counts] == [0, 0, 0]
    assert "ignored        0.000     0.000     0.000" in str(report)
    mask = scene(0, LARGE)[1]
    mask[:96, :128] = 255
    for i in range(10):
        save(root / f"masks/{i}.png", mask)
    report = check_dataset(root)
    assert "ignored       25.000    25.000    25.000" in str(report)
    (warning,) = (text for text in report.warnings if text.startswith("ignored pixels"))
    assert "(255): train 25.0%, val 25.0%, test 25.0%, most in" in warning
    assert f"{root}/masks/" in warning


@pytest.mark.parametrize(
    ("name", "guess"),
    [("mine", "person"), ("Cats_2024", "cat"), ("my-motorcycles", "motorbike"), ("bus", "bus")],
)
def test_names_that_the_start_knows_are_proposed(tmp_path, name, guess):
    root = folders(tmp_path / name, 6, value=255)
    report = check_dataset(root)
    assert report.proposal.start_classes == ("background", guess)
    text = str(report)
    assert f"proposal classes=['background', '{guess}'] keeps the initial model" in text
    assert f"if the foreground is {guess}; mini also knows aeroplane, bicycle" in text
    named = check_dataset(open_dataset(root, classes=["background", guess]))
    assert named.proposal.start_classes == ()
    assert "mini" not in str(named)


def test_the_command_prints_flags(tmp_path):
    root = folders(tmp_path, 6, value=255)
    for i in range(3):
        save(root / f"masks/{i}.png", scene(i)[1])
    result = CliRunner().invoke(command, [str(root)])
    assert "proposal --classes background,person keeps the initial model" in result.output
    assert "choose --ignore 255" in result.output
    result = CliRunner().invoke(command, [str(root), *["--classes", "background,person"]])
    assert result.exit_code == 0
    assert "Ready to train" in result.output
