"""A data set measured on a Ray cluster: the scores of one process, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.ray_runs import killing_workers
from PIL import Image

from easyseg.distributed import evaluate
from easyseg.errors import DatasetError, InputError, UnknownNameError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # warnings of Ray


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data set in folders with 20 images and random masks of classes that `mini` has."""
    root = tmp_path_factory.mktemp("data")
    for name in ("images", "masks"):
        (root / name).mkdir()
    (root / "classes.txt").write_text("background\nperson\ncar\n")
    for number in range(20):
        random = np.random.default_rng(number)
        size = (60 + number, 50)
        image = random.integers(0, 256, (4, 6, 3), np.uint8)
        Image.fromarray(image).resize(size, 3).save(root / f"images/{number:02d}.jpg")
        mask = random.integers(0, 3, (4, 6), np.uint8)
        Image.fromarray(mask).resize(size, 0).save(root / f"masks/{number:02d}.png")
    return root


def test_scores_are_those_of_one_process(data, local, mini):
    expected = mini.evaluate(data, split="all", progress=False)
    scores = evaluate(data, split="all", progress=False)
    assert scores.to_dict() == expected.to_dict()
    np.testing.assert_array_equal(scores.confusion.counts, expected.confusion.counts)
    assert str(scores) == str(expected)
    assert 0 <= scores.boundary_iou < 1


def test_a_killed_worker_changes_nothing(data, local, mini):
    with killing_workers(2, most=1):
        scores = evaluate(data, split="all", boundary=False, progress=False)
    expected = mini.evaluate(data, split="all", boundary=False, progress=False)
    assert scores.to_dict() == expected.to_dict()


def test_bad_input(data, local, tmp_path):
    with pytest.raises(DatasetError, match="absent"):
        evaluate(tmp_path / "absent")
    with pytest.raises(InputError, match="workers=0 must be"):
        evaluate(data, workers=0)
    with pytest.raises(UnknownNameError, match=r"unknown model .*'minni'\. Did you mean"):
        evaluate(data, model="minni", split="all", progress=False)
    with pytest.raises(InputError, match="dragon"):
        evaluate(data, class_map={"dragon": "person"}, split="all", progress=False)


def test_a_bad_mask_stops_it(data, local):
    mask = data / "masks/07.png"
    content = mask.read_bytes()
    mask.write_bytes(content[:40])
    try:
        with pytest.raises(DatasetError, match="07"):
            evaluate(data, split="all", progress=False)
    finally:
        mask.write_bytes(content)
