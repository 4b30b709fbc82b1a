"""Large images in tiles: where the tiles lie, and that blending shows no seams."""

from __future__ import annotations

import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from easyseg import Predictor, SemanticSegmentation, load_label_set
from easyseg.errors import InputError
from easyseg.inference.options import InferenceOptions
from easyseg.inference.tiling import UNIT, blend, grid_size, tile, tile_side


@pytest.mark.parametrize("pixels", [65, 257, 400, 513, 1024, 1025])
def test_tiles_fit_the_grid(pixels):
    side = tile_side(pixels)
    assert side >= pixels
    assert side - pixels < UNIT
    assert side % UNIT == 1


@pytest.mark.parametrize("size", [(100, 2000), (513, 513), (514, 513), (1500, 1111), (3000, 4001)])
def test_tiles_cover_the_image(size):
    tiling = tile(size, 513)
    for starts, side in zip((tiling.rows, tiling.cols), size, strict=True):
        seen = np.zeros(side, int)
        for start in starts:
            assert start % UNIT == 0
            assert start < side
            seen[start : start + 513] += 1
        assert seen.min() >= 1
        assert starts[-1] + 513 - side < max(UNIT, 513 - side + 1)


@pytest.mark.parametrize("size", [(700, 900), (513, 1800), (1300, 600)])
def test_blending_equal_logits_returns_them(size):
    """Tiles cut from one big grid must blend to that grid, block by block."""
    tiling = tile(size, 257)
    rows, cols = tiling.rows[-1] // 4 + 65, tiling.cols[-1] // 4 + 65
    whole = np.random.default_rng(0).normal(size=(rows, cols, 3)).astype(np.float32)
    tiles = (
        whole[top // 4 : top // 4 + 65, left // 4 : left // 4 + 65]
        for top in tiling.rows
        for left in tiling.cols
    )
    blended = np.full_like(whole, np.nan)
    for top, left, block in blend(tiling, tiles, 4):
        here = np.s_[top : top + block.shape[0], left : left + block.shape[1]]
        np.testing.assert_allclose(block, whole[here], atol=1e-5)
        seen = ~np.isnan(blended[here][..., 0])
        assert seen[: bool(top)].all(), "a block begins with the last row of those above"
        assert seen[:, : bool(left)].all(), "and with the last column of the one beside it"
        assert not seen[bool(top) :, bool(left) :].any()
        blended[here] = block
    assert not np.isnan(blended).any()
    assert grid_size(tiling, 4) == (rows, cols)


def test_the_weight_of_a_tile_is_highest_at_its_center():
    """Two tiles with different logits: from the middle of one to the middle of the other."""
    tiling = tile((257, 400), 257)
    first, second = tiling.cols
    tiles = [np.full((65, 65, 1), value, np.float32) for value in (0, 1)]
    blended = np.empty(grid_size(tiling, 4), np.float32)
    for top, left, block in blend(tiling, iter(tiles), 4):
        blended[top : top + block.shape[0], left : left + block.shape[1]] = block[..., 0]
    assert (blended == blended[:1]).all()
    row, shared = blended[0], (first + 257 - second) // 4
    assert (row[: second // 4] == 0).all()
    assert (row[65:] == 1).all()
    assert (np.diff(row[second // 4 : second // 4 + shared + 1]) > 0).all()


@pytest.fixture(scope="module")
def mini():
    return SemanticSegmentation("mini")


@pytest.fixture(scope="module")
def large(shared):
    image = cv2.imread(str(shared / "data/photos/dog.jpg"))[..., ::-1]
    return cv2.resize(image, (1400, 1100), interpolation=cv2.INTER_CUBIC)


def predictor(mini, **options):
    size = options.pop("input_size", (513, 513))
    return Predictor(
        mini.model,
        mini.label_set,
        input_size=size,
        options=InferenceOptions(runtime="keras", **options),
    )


def test_one_tile_is_the_whole_image(mini, large):
    """A tile that holds the image gives what an input of its size gives."""
    small = np.ascontiguousarray(large[:513, :513])
    whole = predictor(mini).one(small)
    tiled = predictor(mini, tile=513).one(small)
    np.testing.assert_array_equal(whole.labels, tiled.labels)


def test_tiles_agree_with_the_whole(mini, large):
    """At the same scale, in one input and in tiles, most pixels are the same."""
    whole = predictor(mini, input_size=(1409, 1409)).one(large)
    tiled = predictor(mini, tile=769, batch_size=2).one(large)
    assert tiled.labels.shape == large.shape[:2]
    assert np.mean(whole.labels == tiled.labels) > 0.9
    assert tiled.confidence.shape == large.shape[:2]


@pytest.mark.slow
def test_too_many_logits_are_not_kept(mini, large, monkeypatch):
    kept = predictor(mini, tile=513).one(large)
    monkeypatch.setattr("easyseg.inference.tiling.MAX_LOGIT_BYTES", 0)
    dropped = predictor(mini, tile=513).one(large)
    np.testing.assert_array_equal(kept.labels, dropped.labels)
    assert kept.grid is not None
    assert dropped.grid is None
    with pytest.raises(InputError, match="confidence"):
        _ = dropped.confidence


@pytest.mark.slow
def test_small_and_large_images_keep_their_order(mini, large):
    small = large[:200, :300]
    images = [small, large, small, small, large]
    results = list(predictor(mini, tile=513, batch_size=2)(images))
    assert [r.labels.shape for r in results] == [image.shape[:2] for image in images]
    np.testing.assert_array_equal(results[0].labels, results[3].labels)
    np.testing.assert_array_equal(results[1].labels, results[4].labels)


@pytest.mark.slow
def test_tiles_and_scales_combine(mini, large):
    tiled = predictor(mini, tile=513, scales=(0.5, 1.0), flip=True).one(large[:600, :700])
    plain = predictor(mini, tile=513).one(large[:600, :700])
    assert tiled.labels.shape == (600, 700)
    assert np.mean(tiled.labels == plain.labels) > 0.7
    assert np.isclose(tiled.probability(range(21)).max(), 1, atol=1e-5)


@pytest.mark.parametrize("tile", [0, 64])
def test_bad_tile(mini, tile):
    with pytest.raises(InputError, match=r"tile=.* must be a whole number of pixels from 65"):
        predictor(mini, tile=tile)


@pytest.mark.parametrize("scales", [(), (0,), (0.05,), (5,), "1.0", (1.0, None), (True,)])
def test_bad_scales(mini, scales):
    with pytest.raises(InputError, match=r"scales=.* must be factors from 0\.1 to 4"):
        predictor(mini, scales=scales)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"tile": 513.0}, "a whole number, such as 513"),
        ({"tile": True}, "a whole number, such as 513"),
        ({"tile": "513"}, "a whole number, such as 513"),
        ({"scales": 1.0}, "a list, such as (0.5, 1.0, 1.5)"),
    ],
)
def test_wrong_types(mini, options, rule):
    with pytest.raises(InputError, match=rf"must be {re.escape(rule)}\."):
        predictor(mini, **options)


@pytest.mark.slow
def test_the_model_takes_the_options(large):
    image = cv2.resize(large, (700, 550), interpolation=cv2.INTER_AREA)
    seg = SemanticSegmentation("mini", tile=513, scales=(0.75, 1.0), flip=True)
    result = seg.segment_image(image)
    assert result.labels.shape == (550, 700)
    assert "dog" in result.class_names
    assert load_label_set("voc") == result.label_set


@pytest.mark.slow
def test_an_image_of_108_megapixels_in_two_gigabytes(shared, tmp_path):
    """In a process of its own, so that its peak is its own."""
    image = cv2.imread(str(shared / "data/photos/dog.jpg"))
    cv2.imwrite(str(tmp_path / "huge.jpg"), cv2.resize(image, (12000, 9000)))
    code = f"""
from pathlib import Path
from easyseg import SemanticSegmentation
seg = SemanticSegmentation("mini", tile=1025)
image, out = {str(tmp_path / "huge.jpg")!r}, {str(tmp_path / "huge.png")!r}
result = seg.segment_image(image, out, kind="mask")
assert result.labels.shape == (9000, 12000)
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""  # not ru_maxrss, which begins with the peak of the process that starts this one
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=900
    )
    assert int(done.stdout.split()[-1]) * 1024 < 2e9


@pytest.mark.parametrize("option", [{"batch_size": 0}, {"tile": 10}, {"scales": (9,)}])
def test_options_are_checked_before_any_download(option, tmp_path):
    with pytest.raises(InputError, match=f"{next(iter(option))}="):
        SemanticSegmentation("xception65.voc", cache_dir=tmp_path, **option)
    assert not list(tmp_path.iterdir())
