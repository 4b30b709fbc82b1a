"""`Segmenter`: tables of images in, tables of results out, without Ray."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from easyseg.distributed import Segmenter
from easyseg.errors import ArgumentTypeError, InputError, UnknownNameError, WeightsError
from easyseg.utils.resources import pretrained_path

NAMES = [
    "path",
    "result",
    "width",
    "height",
    "classes",
    "ratios",
    "seconds",
    "model_sha256",
    "error",
]


@pytest.fixture
def two(tmp_path):
    """Two images of different shapes."""
    paths = []
    for number, size in enumerate([(80, 60), (50, 70)]):
        path = tmp_path / f"{number}.png"
        pixels = np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), np.uint8)
        Image.fromarray(pixels).save(path)
        paths.append(str(path))
    return paths


def test_rows_are_what_a_model_gives(two, tmp_path, mini):
    segmenter = Segmenter("mini", out=str(tmp_path / "out"), kind="mask")
    rows = segmenter.segment_rows([{"path": path} for path in two])
    for path, row in zip(two, rows, strict=True):
        expected = mini.segment_image(path, tmp_path / "one.png", kind="mask")
        assert list(row) == NAMES
        assert row["result"] == f"{tmp_path}/out{path}.png"
        assert Path(row["result"]).read_bytes() == (tmp_path / "one.png").read_bytes()
        assert (row["height"], row["width"]) == expected.labels.shape
        assert row["classes"] == expected.class_names
        np.testing.assert_allclose(row["ratios"], expected.ratios, atol=1e-6)
        assert row["error"] is None
        assert row["seconds"] > 0
        assert len(row["model_sha256"]) == 64


def test_images_in_memory(two):
    """Files as bytes, and arrays of different shapes, give what their paths give."""
    segmenter = Segmenter()
    from_paths = segmenter.segment_rows([{"path": path} for path in two])
    arrays = [{"path": path, "image": np.asarray(Image.open(path))} for path in two]
    contents = [{"path": path, "bytes": Path(path).read_bytes()} for path in two]
    for rows in (segmenter.segment_rows(arrays), segmenter.segment_rows(contents)):
        assert [{**row, "seconds": 0} for row in rows] == [
            {**row, "seconds": 0} for row in from_paths
        ]
    assert from_paths[0]["result"] is None
    (unnamed,) = segmenter.segment_rows([{"image": arrays[0]["image"]}])
    assert unnamed["path"] == "image"


def test_a_bad_image_is_a_row_with_its_error(two, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    segmenter = Segmenter(out=str(tmp_path / "out"))
    given = [bad, tmp_path / "absent.jpg", two[0], "../../a.jpg"]
    rows = segmenter.segment_rows([{"path": str(path)} for path in given])
    errors = [row["error"] for row in rows]
    assert "bad.jpg: not an image in a format that easyseg reads" in errors[0]
    assert "absent.jpg: it does not exist" in errors[1]
    assert errors[2] is None
    assert errors[3].startswith("Cannot write the result of ../../a.jpg below ")
    assert [row["result"] is None for row in rows] == [True, True, False, True]
    (row,) = segmenter.segment_rows([{"path": "cat.jpg", "bytes": b"no image"}])
    assert "not an image" in row["error"]


def test_tables_of_other_programs(two, tmp_path):
    pa = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'easyseg[ray]'")
    segmenter = Segmenter()
    where = [str(tmp_path / "a.png"), None]
    table = segmenter({"path": np.array(two), "result": np.array(where, dtype=object)})
    assert isinstance(table, pa.Table)
    assert table.column_names == NAMES
    assert table["result"].to_pylist() == where
    assert (tmp_path / "a.png").is_file()
    bad = segmenter(pa.table({"path": ["absent.jpg"]}))
    assert bad.schema == table.schema, "tables without one result would not go together"
    assert bad["width"].to_pylist() == [None]


def test_any_file_name_fits_into_a_table(two, tmp_path):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'easyseg[ray]'")
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    shutil.copy(two[0], path)
    (row,) = Segmenter()({"path": [str(path)]}).to_pylist()
    assert row["error"] is None
    assert row["path"].endswith(r"caf\xe9.png")


def test_a_frame_gives_a_frame(two):
    pd = pytest.importorskip("pandas", reason="needs pandas: pip install 'easyseg[ray]'")
    frame = Segmenter()(pd.DataFrame({"path": two, "result": [float("nan")] * 2}))
    assert list(frame) == NAMES
    assert frame["width"].tolist() == [80, 50]
    assert frame["result"].isna().all()


def test_it_travels_without_its_model(two):
    segmenter = Segmenter(classes=["person"])
    segmenter.segment_rows([{"path": two[0]}])
    content = pickle.dumps(segmenter)
    assert len(content) < 1000
    (row,) = pickle.loads(content).segment_rows([{"path": two[0]}])
    assert set(row["classes"]) <= {"background", "person"}


def test_relative_models_are_found_elsewhere(tmp_path, monkeypatch, two):
    monkeypatch.chdir(tmp_path)
    shutil.copy(pretrained_path("mini", "model.onnx"), "street.onnx")
    segmenter = Segmenter("street.onnx")
    monkeypatch.chdir("/")
    (row,) = segmenter.segment_rows([{"path": two[0]}])
    assert row["error"] is None


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"tile": 7}, InputError, "tile=7 must be a whole number of pixels from 65"),
        ({"tiles": 513}, ArgumentTypeError, "unknown argument 'tiles'"),
        ({"flip": 1}, ArgumentTypeError, "flip=1 must be True or False"),
        ({"kind": "overlap"}, UnknownNameError, "unknown kind of output 'overlap'"),
    ],
)
def test_options_are_checked_where_it_is_made(arguments, kind, message):
    with pytest.raises(kind, match=message):
        Segmenter(**arguments)


def test_it_says_what_is_wrong_with_the_model(two):
    with pytest.raises(UnknownNameError, match=r"unknown model .*'minni'\. Did you mean"):
        Segmenter("minni").segment_rows([{"path": two[0]}])
    with pytest.raises(WeightsError, match=r"/absent.onnx does not exist"):
        Segmenter("/absent.onnx").segment_rows([{"path": two[0]}])
    with pytest.raises(InputError, match=r"weights of mini on this computer have the SHA-256 \w"):
        Segmenter(sha256="0" * 64).segment_rows([{"path": two[0]}])


def test_a_table_without_images_is_refused():
    with pytest.raises(InputError, match=r"column path, bytes or image, got file, id\. Rename"):
        Segmenter()({"file": ["a.jpg"], "id": [1]})
