"""Huge images: the labels of the whole image, at its position, without ever holding it."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tifffile
from helpers import worker_openers
from helpers.make_scene import GEO_TAGS, SCALE, TIEPOINT, UTM, painted, tiled_predictor, write_tiff
from helpers.painted_network import VOC

from easyseg import OutputSpec, SemanticSegmentation
from easyseg.errors import EasysegError, InputError, OutputError, UnreadableImageError
from easyseg.inference.scene import segment_scene
from easyseg.inference.workers import WorkerError


@pytest.fixture(scope="module")
def mini():
    return SemanticSegmentation("mini", tile=129)


@pytest.fixture
def scene(tmp_path):
    return write_tiff(tmp_path / "scene.tif", painted()[0], extratags=GEO_TAGS)


def opener(tile=65):
    return lambda: tiled_predictor(tile)


def pages(path):
    with tifffile.TiffFile(path) as tiff:
        return [page.asarray() for page in tiff.pages]


@pytest.mark.parametrize("size", [(300, 400), (129, 400), (100, 90), (700, 130)])
def test_labels_are_those_of_the_whole_image(mini, size, shared, tmp_path, monkeypatch):
    image = cv2.imread(str(shared / "data/photos/dog.jpg"))[..., ::-1]
    image = np.ascontiguousarray(cv2.resize(image, size[::-1]))
    path = write_tiff(tmp_path / "scene.tif", image)
    summary = mini.segment_scene(path, tmp_path / "labels.tif", progress=False)
    whole = mini.segment_image(image)
    assert len(whole.class_ids) > (max(size) > 129)
    np.testing.assert_array_equal(pages(tmp_path / "labels.tif")[0], whole.labels)
    assert [c.name for c in summary.classes] == whole.class_names
    assert [c.ratio for c in summary.classes] == pytest.approx(whole.ratios)
    if max(size) > 129:
        monkeypatch.setattr("easyseg.inference.tiling.MAX_LOGIT_BYTES", 0)
        blockwise = mini.segment_image(image)  # as images above 64 MB of logits are
        np.testing.assert_array_equal(blockwise.labels, whole.labels)


def test_workers_give_the_same_labels(mini, shared, tmp_path):
    image = cv2.imread(str(shared / "data/photos/dog.jpg"))[..., ::-1]
    image = np.ascontiguousarray(cv2.resize(image, (150, 700))).astype(np.uint16) * 16
    image[300:340] = 7
    nodata = [(42113, "s", 0, "7", True)]
    path = write_tiff(tmp_path / "scene.tif", image, extratags=nodata)
    summaries = [
        mini.segment_scene(path, tmp_path / f"{workers}.tif", workers=workers, progress=False)
        for workers in (1, 2)
    ]
    assert summaries[0].classes == summaries[1].classes
    assert summaries[0].nodata == 40 * 150
    np.testing.assert_array_equal(pages(tmp_path / "1.tif")[0], pages(tmp_path / "2.tif")[0])


@pytest.mark.parametrize("split", [1, 3])
def test_any_rows_of_tiles_can_be_computed_alone(mini, split, shared):
    image = cv2.imread(str(shared / "data/photos/dog.jpg"))[..., ::-1]
    image = np.ascontiguousarray(cv2.resize(image, (160, 520)))
    predictor = mini._predictor
    whole = dict(predictor.label_rows(image))
    parts = {}
    for rows in (range(split), range(split, len(whole))):
        for top, labels in predictor.label_rows(image, rows):
            assert top not in parts
            parts[top] = labels
    assert parts.keys() == whole.keys()
    for top, labels in whole.items():
        np.testing.assert_array_equal(parts[top], labels)


@pytest.mark.parametrize(
    ("fail", "error", "message"),
    [
        (worker_openers.Refuse, EasysegError, "no weights here"),
        (worker_openers.Kill, WorkerError, "worker process was killed"),
    ],
)
def test_a_worker_that_fails_leaves_nothing(fail, error, message, scene, tmp_path):
    out = tmp_path / "out" / "labels.tif"
    with pytest.raises(error, match=message):
        segment_scene(fail(), scene, out, workers=2, progress=False)
    assert list(out.parent.iterdir()) == []


def test_the_result_lies_where_the_scene_lies(scene, tmp_path):
    out = tmp_path / "deep" / "labels.tif"
    summary = segment_scene(opener(), scene, out, progress=False)
    with tifffile.TiffFile(out) as tiff:
        page = tiff.pages[0]
        assert tiff.is_bigtiff
        assert page.is_tiled
        assert page.compression == 8
        assert page.tags[33550].value == SCALE
        assert page.tags[33922].value == TIEPOINT
        assert page.tags[34735].value == UTM
        assert page.tags[42113].value == "255"
        np.testing.assert_array_equal(page.asarray(), painted()[1])
        np.testing.assert_array_equal(page.colormap.T[:21] >> 8, VOC.colors[:21])
        assert json.loads(page.description)["classes"]["15"] == "person"
    areas = {each.id: each for each in summary.classes}
    for class_id, count in enumerate(np.bincount(painted()[1].ravel())):
        assert areas[class_id].pixels == count
        assert areas[class_id].square_meters == count * 0.25
    assert re.match(r"\w+ \d+\.\d % \([\d,]+ m²\), ", str(summary))


@pytest.mark.parametrize(
    ("keys", "square_meters"),
    [
        ((1, 1, 0, 2, 1024, 0, 1, 1, 3076, 0, 1, 9001), 0.25),
        ((1, 1, 0, 2, 1024, 0, 1, 1, 3076, 0, 1, 9002), 0.25 * 0.3048**2),
        ((1, 1, 0, 1, 1024, 0, 1, 2), None),  # degrees
        ((1, 1, 0, 1, 1024, 0, 1, 1), None),  # units that are not said
        ((1, 1, 0, 3, 1024, 0, 1, 1, 3072, 0, 1, 3857, 3076, 0, 1, 9001), None),  # Web Mercator
        ((1, 1), None),
    ],
)
def test_square_meters(keys, square_meters, tmp_path):
    matrix = (0.3, 0.4, 0, 5, 0.4, -0.3, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1)  # 0.5 units, rotated
    tags = [(34264, "d", 16, matrix, True), (34735, "H", len(keys), keys, True)]
    path = write_tiff(tmp_path / "scene.tif", painted()[0], extratags=tags)
    summary = segment_scene(opener(), path, tmp_path / "labels.tif", progress=False)
    largest = summary.classes[0]
    expected = None if square_meters is None else pytest.approx(largest.pixels * square_meters)
    assert largest.square_meters == expected


def test_other_programs_place_it_where_the_scene_lies(scene, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    segment_scene(opener(), scene, tmp_path / "labels.tif", progress=False)
    with rasterio.open(scene) as before, rasterio.open(tmp_path / "labels.tif") as after:
        assert after.transform == before.transform
        assert after.crs == before.crs
        assert after.nodata == 255
        np.testing.assert_array_equal(after.read(1), painted()[1])


def test_overviews(tmp_path):
    image, ids = painted(1030, 90)
    path = write_tiff(tmp_path / "scene.tif", image)
    for kind, whole in (("mask", ids), ("color", image)):
        spec, out = OutputSpec(kind), tmp_path / f"{kind}.tif"
        segment_scene(opener(129), path, out, spec=spec, progress=False)
        levels = pages(out)
        assert [level.shape[:2] for level in levels] == [(1030, 90), (515, 45), (258, 23)]
        for step, level in zip((1, 2, 4), levels, strict=True):
            np.testing.assert_array_equal(level, whole[::step, ::step])


def test_overlays_and_chosen_classes(scene, tmp_path):
    image, ids = painted()
    predictor, out = tiled_predictor(), tmp_path / "out.tif"
    whole = predictor.one(image)
    segment_scene(
        lambda: predictor, scene, out, spec=OutputSpec("overlay", alpha=0.3), progress=False
    )
    np.testing.assert_array_equal(pages(out)[0], whole.plot(alpha=0.3))
    spec = OutputSpec("mask", classes=["person", 2])
    summary = segment_scene(lambda: predictor, scene, out, spec=spec, progress=False)
    np.testing.assert_array_equal(pages(out)[0], np.where(np.isin(ids, [2, 15]), ids, 0))
    assert {each.id for each in summary.classes} == {0, 2, 15}


def test_pixels_without_a_value_are_ignored(tmp_path):
    image, ids = painted()
    image, ids = np.array(image), np.array(ids)
    image[100:150, 200:260] = 7
    ids[100:150, 200:260] = 255
    nodata = [(42113, "s", 0, "7", True)]
    path = write_tiff(tmp_path / "scene.tif", image, extratags=nodata)
    summary = segment_scene(opener(), path, tmp_path / "labels.tif", progress=False)
    np.testing.assert_array_equal(pages(tmp_path / "labels.tif")[0], ids)
    assert summary.nodata == 50 * 60
    assert sum(each.ratio for each in summary.classes) == pytest.approx(1)
    image[:] = 7
    path = write_tiff(tmp_path / "scene.tif", image, extratags=nodata)
    summary = segment_scene(opener(), path, tmp_path / "labels.tif", progress=False)
    assert str(summary).startswith("no pixels with a value; 410x330")


def test_bands_and_the_json_line(tmp_path):
    image, ids = painted()
    path = write_tiff(tmp_path / "scene.tif", np.ascontiguousarray(image[..., ::-1]))
    log = tmp_path / "areas.jsonl"
    summary = segment_scene(
        opener(), path, tmp_path / "o.tif", bands=[3, 2, 1], jsonl=log, progress=False
    )
    np.testing.assert_array_equal(pages(tmp_path / "o.tif")[0], ids)
    line = json.loads(log.read_text())
    assert line["source"] == str(path)
    assert line["settings"]["bands"] == [3, 2, 1]
    assert line["classes"][0]["pixels"] == summary.classes[0].pixels
    (tmp_path / "areas.jsonl").write_text("mine")
    with pytest.raises(InputError, match="is not a results log"):
        segment_scene(opener(), path, tmp_path / "new.tif", jsonl=log)
    assert not (tmp_path / "new.tif").exists()


def test_refusals(scene, tmp_path):
    out = tmp_path / "out.tif"
    for arguments, error, message in (
        ((scene, tmp_path / "out.png"), OutputError, r"ends with \.tif, such as .*out\.tif"),
        ((scene, scene), InputError, "would overwrite the scene"),
    ):
        with pytest.raises(error, match=message):
            segment_scene(opener(), *arguments)
    with pytest.raises(InputError, match=r"without tiles; choose their size: tile=513"):
        segment_scene(opener(None), scene, out)
    for spec in (OutputSpec("contour"), OutputSpec("coco"), OutputSpec("color", legend=True)):
        with pytest.raises(InputError, match="is not available for scenes"):
            segment_scene(opener(), scene, out, spec=spec)
    with pytest.raises(OutputError, match="Cannot write"):
        segment_scene(opener(), scene, "/proc/x/out.tif", progress=False)
    assert not out.exists()


def test_a_scene_that_is_damaged_leaves_nothing(tmp_path):
    content = write_tiff(tmp_path / "scene.tif", painted()[0], compression=None).read_bytes()
    (tmp_path / "scene.tif").write_bytes(content[: len(content) * 2 // 3])
    out = tmp_path / "out" / "labels.tif"
    with pytest.raises(UnreadableImageError, match=r"scene\.tif: it is damaged"):
        segment_scene(opener(), tmp_path / "scene.tif", out, progress=False)
    assert list(out.parent.iterdir()) == []


@pytest.mark.slow
def test_what_a_killed_run_left_is_removed(scene, tmp_path):
    out = tmp_path / "out" / "labels.tif"
    code = f"""
import os, sys
sys.path.insert(0, {str(tmp_path.parent)!r})
from easyseg import SemanticSegmentation
from easyseg.inference import scene
def killed(*_):
    os.kill(os.getpid(), 9)
scene._draw = killed
SemanticSegmentation("mini", tile=129).segment_scene({str(scene)!r}, {str(out)!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -9
    left = list(out.parent.iterdir())
    assert [path.suffix for path in left] == [".part"]
    segment_scene(opener(), scene, out, progress=False)
    assert list(out.parent.iterdir()) == [out]


def test_the_command_chooses_windows_by_itself(scene, tmp_path):
    from click.testing import CliRunner

    from easyseg.cli.segment import segment

    def run(*arguments):
        try:
            return (
                CliRunner()
                .invoke(segment, [str(a) for a in arguments], catch_exceptions=False)
                .output
            )
        except EasysegError as error:
            return str(error)

    out = tmp_path / "labels.tif"
    text = run(scene, "-o", out, "--tile", 129, "--max-pixels", 100_000)
    assert re.search(r" m²\).*; 410x330 pixels in .* -> .*labels\.tif\n$", text, re.DOTALL)
    assert pages(out)[0].shape == (330, 410)
    assert pages(out)[0].dtype == np.uint8
    run(scene, "-o", out, "--tile", 129, "--bands", "3,2,1", "-k", "overlay", "-q")
    assert pages(out)[0].shape == (330, 410, 3)
    assert "choose their size: tile=513" in run(scene, "--bands", "1", "-o", out)
    for option in (["--resume"], ["--shard", "1/2"], ["--csv", "a.csv"]):
        assert "is for many images" in run(scene, "--bands", "1", "--tile", 129, *option)
    assert "for a cluster or a TIFF" in run(scene, "--workers", 2)
    assert "Give one TIFF file" in run(scene, scene, "--bands", "1", "--tile", 129)
    run(scene, "--tile", 129, "--bands", "1", "-q")
    assert (tmp_path / "scene.seg.tif").exists()


def test_an_image_that_is_too_large_says_so(scene, mini, monkeypatch):
    monkeypatch.setenv("EASYSEG_MAX_PIXELS", "100000")
    with pytest.raises(EasysegError, match=r"by windows with segment_scene\(\), or raise"):
        mini.segment_image(scene)


@pytest.mark.slow
def test_36_megapixels_in_less_memory_than_the_image_takes(tmp_path):
    """Beyond what the same process takes for 1 megapixel; the image alone has 108 MB."""
    code = """
import sys
from pathlib import Path
from easyseg import SemanticSegmentation
seg = SemanticSegmentation("mini", tile=513)
seg.segment_scene(sys.argv[1], sys.argv[2], progress=False)
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""
    peaks = []
    for side in (1000, 6000):
        path = write_tiff(tmp_path / "scene.tif", painted(side, side)[0], tile=(256, 256))
        arguments = [sys.executable, "-c", code, str(path), str(tmp_path / "labels.tif")]
        done = subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=900)
        peaks.append(int(done.stdout) * 1024)
        assert pages(tmp_path / "labels.tif")[0].shape == (side, side)
    assert peaks[1] - peaks[0] < 100e6
