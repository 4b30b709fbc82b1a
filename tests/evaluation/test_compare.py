"""Several models on one data set: the difference by class, and the images where they differ."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.painted_network import VOC, ColorNetwork
from helpers.served import quick_model
from PIL import Image

import easyseg
from easyseg.cli import cli
from easyseg.errors import InputError, OutputError

PERSON, DOG = VOC.id_of("person"), VOC.id_of("dog")


class Blind(ColorNetwork):
    """Sees no dogs."""

    def __call__(self, images):
        logits = super().__call__(images)
        logits[..., DOG] = -1e6
        return logits


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Three images of 65 x 65: persons, persons with a few dogs, dogs."""
    monkeypatch.chdir(tmp_path)
    root = Path("data")
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for name, columns in {"a": 0, "b": 8, "c": 40}.items():
        mask = np.zeros((65, 65), np.uint8)
        mask[:32] = PERSON
        mask[32:, :columns] = DOG
        Image.fromarray(VOC.colors[mask]).save(root / f"images/{name}.png")
        Image.fromarray(mask).save(root / f"masks/{name}.png")
    (root / "classes.txt").write_text("\n".join(VOC.names))
    return root


@pytest.fixture
def models():
    return {"blind": quick_model(Blind(VOC)), "seeing": quick_model()}


def test_differences_by_class_and_by_image(data, models):
    found = easyseg.compare(models, data, split="all", progress=False)
    rows = {row["name"]: row for row in found.rows()}
    assert set(rows) >= {"background", "person", "dog"}
    assert "cat" not in rows  # neither there nor predicted
    assert rows["dog"]["blind"] == 0
    assert rows["dog"]["seeing"] > 0.9
    assert rows["dog"]["seeing - blind"] == rows["dog"]["seeing"]
    assert rows["person"]["pixels"] == 3 * 32 * 65
    images = found.differences()
    assert [image.name for image in images][-1].startswith("a")  # no dogs
    assert images[-1].difference == 0
    assert found.differences(1) == images[:1]
    for model, seg in models.items():  # each by itself gives the same
        alone = seg.evaluate(data, split="all", progress=False)
        assert alone.mean_iou == found.scores[model].mean_iou


def test_the_table(data, models):
    lines = str(easyseg.compare(models, data, split="all", progress=False)).splitlines()
    assert lines[0].split() == ["class", "blind", "seeing", "seeing", "-", "blind"]
    assert lines[1].split()[:2] == ["dog", "0.0000"]  # the largest difference
    assert lines[1].split()[-1] == "+1.0000"
    (mean,) = [line for line in lines if line.startswith("mean IoU")]
    assert float(mean.split()[-1]) > 0.1
    assert lines[-1] == "3 images"


def test_files(data, models):
    found = easyseg.compare(models, data, split="all", out="out", progress=False)
    values = json.loads(Path("out/comparison.json").read_text())
    assert values == found.to_dict()
    assert values["models"] == ["blind", "seeing"]
    with Path("out/classes.csv").open(newline="") as file:
        table = {row["name"]: row for row in csv.DictReader(file)}
    assert float(table["dog"]["seeing - blind"]) > 0.9
    sheet = np.asarray(Image.open("out/differences.png"))
    assert sheet.shape[1] > 3 * 300  # ground truth and two predictions
    assert [image.difference > 0 for image in found.differences()] == [True, True, False]
    assert 2 * 300 < sheet.shape[0] < 3 * 360  # of the two images that differ


def test_equal_models_have_no_sheet(data, models):
    same = [quick_model(), quick_model()]
    same[1].name = "other"
    found = easyseg.compare(same, data, split="all", out="out", progress=False)
    assert {image.difference for image in found.differences()} == {0}
    assert sorted(path.name for path in Path("out").iterdir()) == ["classes.csv", "comparison.json"]


def test_more_than_two_are_compared_with_the_first(data, models):
    found = easyseg.compare(
        {**models, "third": quick_model()}, data, split="all", boundary=False, progress=False
    )
    row = next(row for row in found.rows() if row["name"] == "dog")
    assert row["seeing - blind"] == row["third - blind"] > 0.9
    assert len(str(found).splitlines()[1].split()) == 1 + 3 + 2


def test_what_is_refused(data, models, tmp_path):
    one = quick_model()
    with pytest.raises(InputError, match="needs two models or more, got 1"):
        easyseg.compare([one], data)
    with pytest.raises(InputError, match="two models have the same name; give them names"):
        easyseg.compare([one, quick_model()], data)
    with pytest.raises(InputError, match="a model cannot be called 'pixels'"):
        easyseg.compare({"pixels": one, "b": one}, data)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"^Cannot write file/out"):
        easyseg.compare(models, data, out="file/out")


def test_on_the_command_line(data):
    args = ["compare", str(data), "-m", "mini", "-m", "flipped=mini", "-o", "out"]
    done = CliRunner().invoke(cli, [*args, "--split", "all", "--classes", ",".join(VOC.names)])
    assert done.exit_code == 0, done.output
    assert "\n-> out\n" in done.output
    assert json.loads(Path("out/comparison.json").read_text())["models"] == ["mini", "flipped"]
    alone = CliRunner().invoke(cli, ["compare", str(data), "-m", "mini"])
    assert alone.exit_code != 0
    assert "needs two models or more: --model A --model B." in alone.output + str(alone.exception)
