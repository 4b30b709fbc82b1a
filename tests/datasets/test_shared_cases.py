"""Small data sets as people really have them: each gives what its `expected.json` says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.paths import SHARED

from easyseg import check_dataset, open_dataset
from easyseg.errors import DatasetError
from easyseg.io.read_image import read_image

MAKER = SHARED / "cases/make_cases.py"
DATA_SETS = ["A1", "A2", "A4", "B1", "B2", "B3/train/set", "B5", "C1", "C3", "D1-strid", "D1-flat"]
DATA_SETS += ["D3-nowidth", "D3-text", "Y1", "Y2", "Y3", "Y4", "Y5", "Y7", "L1", "L3", "L4", "M1"]
IMAGES = ["I1", "I4"]
OPENED = {"Y3": "elsewhere/my.yaml"}  # instead of the case's folder


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    if not MAKER.is_file():
        pytest.skip(f"needs {MAKER}, which a clone does not have")
    folder = tmp_path_factory.mktemp("cases") / "out"
    folder.mkdir()
    subprocess.run([sys.executable, MAKER, folder], check=True, stdout=subprocess.DEVNULL)
    return folder, json.loads((folder / "expected.json").read_text())


def test_every_case_is_tested(cases):
    assert set(cases[1]) == {*DATA_SETS, *IMAGES}


def rows(dataset, root: Path) -> list[list[str]]:
    """`[split, image relative to the root]` of each sample, by image."""
    samples = [(split, s) for split, part in dataset.splits.items() for s in part]
    paths = [[split, os.path.relpath(s.image.resolve(), root.resolve())] for split, s in samples]
    return sorted(paths, key=lambda row: row[1])


def pixels(dataset) -> dict[str, int]:
    masks = [s.read_mask() for samples in dataset.splits.values() for s in samples]
    total = sum(np.bincount(mask.ravel(), minlength=256) for mask in masks)
    return {name: int(total[i]) for i, name in enumerate(dataset.label_set.names)}


@pytest.mark.parametrize("name", DATA_SETS)
def test_case(cases, name):
    folder, expected = cases[0] / name, cases[1][name]
    source = folder / OPENED.get(name, "")
    if "error" in expected:
        with pytest.raises(DatasetError) as caught:
            check_dataset(source).raise_errors()
        assert all(word in str(caught.value) for word in expected["error"]), caught.value
        return
    dataset, report = open_dataset(source), check_dataset(source)
    assert not report.errors
    text = str(report).lower()
    assert all(word.lower() in text for word in expected.get("warns", [])), report
    if "samples" in expected:
        have = rows(dataset, source if source.is_dir() else source.parent)
        wanted = sorted(expected["samples"], key=lambda row: row[1])
        assert [image for _, image in have] == [image for _, image in wanted]
        assert all(w[0] in ("*", h[0]) for w, h in zip(wanted, have, strict=True))
    if "classes" in expected:
        assert len(dataset.label_set.names) == expected["classes"]
    counted = pixels(dataset)
    for i, (class_name, count) in enumerate(expected.get("pixels", {}).items()):
        have = counted[class_name] if expected["names"] else list(counted.values())[i]
        assert have > 0 if count == "any" else have == count, counted


def test_shrunk_masks_lose_nothing(cases):
    dataset = open_dataset(cases[0] / "A2")
    for samples in dataset.splits.values():
        for sample in samples:
            mask = sample.read_mask()
            assert not (mask == 255).any()
            assert 1400 <= (mask == 1).sum() <= 1600


def test_12_bit_values_are_not_black(cases):
    assert read_image(cases[0] / "I1/gray12.tif").max() > 200


def test_srgb_profiles_change_nothing(cases):
    assert (read_image(cases[0] / "I4/srgb.png") == (230, 39, 30)).all()
