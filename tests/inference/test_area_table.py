"""The areas of a folder as CSV: what pandas and spreadsheets read."""

import csv
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.painted_network import VOC, color_predictor
from PIL import Image

from easyseg import LabelSet, SemanticSegmentation
from easyseg.cli import cli
from easyseg.errors import InputError, OutputError
from easyseg.inference.folder import segment_folder
from easyseg.results.outputs.spec import OutputSpec

HALF, QUARTER = slice(None, 32), slice(None, 16)


def paint(path, **columns):
    """An image of 64 x 64 pixels, with classes in some of its columns."""
    image = np.zeros((64, 64, 3), np.uint8)
    for name, where in columns.items():
        image[:, where] = VOC.colors[VOC.id_of(name)]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paint("in/b.png", person=HALF)
    paint("in/deep/a.png", dog=QUARTER)
    return tmp_path


def run(sources="in", label_set=VOC, *, resume=False, shard=None, table="areas.csv", **spec):
    return segment_folder(
        color_predictor(label_set),
        sources,
        "out",
        spec=OutputSpec(**spec),
        resume=resume,
        shard=shard,
        csv=table,
        progress=False,
    )


def read(path="areas.csv"):
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_line_for_each_image_and_a_column_for_each_class(images):
    run()
    first, second = read()
    assert list(first) == ["source", "width", "height", *VOC.names]
    assert (first["source"], first["width"], first["height"]) == ("in/b.png", "64", "64")
    assert second["source"] == "in/deep/a.png"
    for row, name, ratio in ((first, "person", 0.5), (second, "dog", 0.25)):
        areas = {name: float(row[name]) for name in VOC.names}
        assert areas[name] == pytest.approx(ratio, abs=0.05)
        assert sum(areas.values()) == pytest.approx(1, abs=1e-5)


def test_chosen_classes_are_the_columns(images):
    run(classes=["dog", "person"])
    assert list(read()[0]) == ["source", "width", "height", "dog", "person"]


def test_pandas_opens_it(images):
    pandas = pytest.importorskip("pandas", reason="pip install pandas")
    paint("in/ümlaut.png", person=HALF)
    run()
    table = pandas.read_csv("areas.csv", index_col="source")
    assert list(table.columns) == ["width", "height", *VOC.names]
    assert list(table.index) == ["in/b.png", "in/deep/a.png", "in/ümlaut.png"]
    assert table["person"].dtype == float
    assert table["person"].idxmax() == "in/b.png"
    assert Path("areas.csv").read_bytes().startswith(b"\xef\xbb\xbf")  # for spreadsheets


def test_what_was_done_before_is_in_it_too(images):
    run()
    before = read()
    paint("in/c.png", cat=HALF)
    assert run(resume=True).skipped == 2
    after = read()
    assert [row["source"] for row in after] == ["in/b.png", "in/c.png", "in/deep/a.png"]
    assert [after[0], after[2]] == before


def test_an_image_that_fails_has_no_line(images):
    Path("in/broken.png").write_bytes(b"no image")
    assert len(run().failed) == 1
    assert [row["source"] for row in read()] == ["in/b.png", "in/deep/a.png"]


@pytest.mark.parametrize("name", ["=1+1.png", "+a.png", "-b.png", "@c.png", "\tcmd.png"])
def test_names_are_no_formulas(images, name):
    paint(name, person=HALF)
    run([f"./{name}"] if name.startswith("@") else [name])
    (row,) = read()
    shown = f"./{name}" if name.startswith("@") else f"'{name}"
    assert row["source"] == shown


def test_names_of_classes_are_no_formulas(images):
    names = ("background", '=HYPERLINK("x")')
    run(label_set=LabelSet("mine", names, ((0, 0, 0), (255, 0, 0))))
    assert list(read()[0]) == ["source", "width", "height", "background", '\'=HYPERLINK("x")']


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_names_of_any_bytes_are_written(images):
    paint("in/b.png", person=HALF)
    os.rename(b"in/b.png", b'in/\xff, "b"\n.png')  # noqa: PTH104
    run()
    assert read()[-1]["source"] == 'in/\\udcff, "b"\n.png'


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ("areas.txt", InputError, "csv='areas.txt' must end in .csv, such as 'areas.csv'."),
        ("folder.csv", OutputError, "Cannot write folder.csv: "),
        ("in/b.png/areas.csv", OutputError, "Cannot write in/b.png: "),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(images, table, error, message):
    Path("folder.csv").mkdir()
    with pytest.raises(error) as caught:
        run(table=table)
    assert str(caught.value).startswith(message)
    assert not list(Path("out").glob("**/*.png"))


def test_each_shard_has_its_own(images):
    for name in "cdefgh":
        paint(f"in/{name}.png", person=HALF)
    for number in (1, 2):
        run(shard=f"{number}/2")
    rows = [row for number in (1, 2) for row in read(f"areas-{number}-of-2.csv")]
    run(table="whole.csv")
    assert sorted(rows, key=str) == sorted(read("whole.csv"), key=str)
    assert len(rows) == 8


def test_on_the_command_line(images):
    run_command = ["segment", "in/b.png", "-o", "out/b.png", "--csv", "areas.csv", "-q"]
    done = CliRunner().invoke(cli, run_command)  # of one image too
    assert done.exit_code == 0, done.output
    assert [row["source"] for row in read()] == ["in/b.png"]


def test_through_the_model(images):
    SemanticSegmentation("mini").segment_folder("in", "out", csv="areas.csv", progress=False)
    assert len(read()) == 2
