"""Scores of shards, joined, are those of one evaluation to the last bit."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.foreign_onnx import MEAN, STD, segmenter
from helpers.make_dataset import save, scene

from easyseg import SemanticSegmentation, open_dataset
from easyseg.cli import main
from easyseg.distributed import merge_scores, save_scores
from easyseg.errors import InputError

COUNT = 5
CLASSES = {"classes": ["background", "person"]}
NETWORK = {"class_names": ["background", "person"], "mean": MEAN, "std": STD}
OPTIONS = [
    "--class-names", "background,person", "--mean", ",".join(map(str, MEAN)),
    "--std", ",".join(map(str, STD)),
]  # fmt: skip


@pytest.fixture(scope="module")
def seg(tmp_path_factory):
    """A network that takes a millisecond."""
    path = tmp_path_factory.mktemp("model") / "net.onnx"
    return SemanticSegmentation(segmenter(path, classes=2), **NETWORK)


def evaluate(seg, shard=None, **options):
    return seg.evaluate("data", **{**CLASSES, "shard": shard, "progress": False, **options})


@pytest.fixture(scope="module")
def finished(seg, tmp_path_factory):
    """A folder with a data set, its scores, and those of three shards."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for i in range(COUNT):
            image, mask = scene(i, (48 + 8 * i, 64))
            mask[: 3 * i, :5] = 255
            save(Path(f"data/images/{i}.png"), image)
            save(Path(f"data/masks/{i}.png"), mask)
        save_scores(evaluate(seg), "whole.json")
        for k in (1, 2, 3):
            save_scores(evaluate(seg, f"{k}/3"), "out/scores.json")
    return folder


@pytest.fixture
def shards(finished, tmp_path, monkeypatch):
    """The working folder, a copy of that."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys):
    """Calls the command line; gives the exit code, stdout and stderr."""

    def call(*words):
        with pytest.raises(SystemExit) as stop:
            main(list(map(str, words)))
        return stop.value.code, *capsys.readouterr()

    return call


def change(name, values):
    """Replaces values in a shard's scores; `a.b` is `b` in `a`."""
    path = Path(f"out/{name}")
    content = json.loads(path.read_text())
    for key, value in values.items():
        place, names = content, key.split(".")
        for step in names[:-1]:
            place = place[step]
        place[names[-1]] = value
    path.write_text(json.dumps(content))


def test_shards_are_one_evaluation(seg, shards):
    merged = merge_scores("out")
    assert Path("out/scores.json").read_bytes() == Path("whole.json").read_bytes()
    whole = evaluate(seg)
    assert merged.to_dict() == whole.to_dict()
    assert str(merged) == str(whole)
    assert merged.worst(COUNT) == whole.worst(COUNT)
    assert 0 < merged.boundary_f < 1, "there is something to compare"


def test_without_boundaries_and_with_classes_of_other_names(seg, shards):
    options = {"boundary": False, "classes": ["ground", "human"],
               "class_map": {"ground": None, "human": "person"}}  # fmt: skip
    for k in (1, 2):
        save_scores(evaluate(seg, f"{k}/2", **options), "named.json")
    merged = merge_scores("named.json")
    whole = evaluate(seg, **options)
    assert merged.to_dict() == whole.to_dict()
    for name in ("prediction_ids", "ground_truth_ids"):
        expected = getattr(whole.class_mapping, name)
        np.testing.assert_array_equal(getattr(merged.class_mapping, name), expected)


def test_samples_of_a_data_set(seg, shards):
    samples = open_dataset("data", **CLASSES).split("all")[:3]
    parts = [seg.evaluate(samples, shard=f"{k}/9", progress=False) for k in range(1, 10)]
    assert sorted(image.name for part in parts for image in part.images) == ["0", "1", "2"]
    for part in parts:
        save_scores(part, "few.json")
    assert merge_scores("few.json").to_dict() == seg.evaluate(samples, progress=False).to_dict()


def test_an_image_that_is_ignored_whole(seg, shards):
    for i in range(COUNT):
        mask = np.full((48 + 8 * i, 64), 255, np.uint8)
        mask[:, : 64 * (i % 2)] = 1
        save(Path(f"data/masks/{i}.png"), mask)
    for k in (1, 2):
        save_scores(evaluate(seg, f"{k}/2"), "ignored.json")
    assert "NaN" not in Path("ignored-1-of-2.json").read_text()
    assert merge_scores("ignored.json").to_dict() == evaluate(seg).to_dict()


def test_the_order_of_images_does_not_matter(seg, shards):
    """Sums of floats would depend on it."""
    one, other = (open_dataset("data", **CLASSES).split("all")[::step] for step in (1, -1))
    one, other = (seg.evaluate(samples, progress=False) for samples in (one, other))
    assert one.boundary_f == other.boundary_f
    np.testing.assert_array_equal(one.boundary.f, other.boundary.f)


def test_the_command_line(seg, shards, run):
    words = ["evaluate", "data", "--classes", "background,person", "-q", "-m", seg.name, *OPTIONS]
    assert run(*words, "--shard", "2/3", "--json", "new/scores.json")[0] == 0
    new = Path("new/scores-2-of-3.json").read_bytes()
    assert new == Path("out/scores-2-of-3.json").read_bytes()
    code, out, err = run("merge", "out", "--csv", "new.csv")
    assert (code, err) == (0, "")
    assert out.startswith("class ")
    assert out.endswith("-> out/scores.json\n")
    assert Path("out/scores.json").read_bytes() == Path("whole.json").read_bytes()
    rows = csv.DictReader(Path("new.csv").read_text().splitlines())
    iou = [row["iou"] for row in json.loads(Path("whole.json").read_text())["classes"]]
    assert [float(row["iou"]) for row in rows] == iou


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shard", "0/3", "--json", "a.json"], "--shard 0/3 must be k/n"),
        (["--shard", "1/3"], "--shard needs --json scores.json, whose parts `easyseg merge` joins"),
        (
            ["--shard", "1/3", "--json", "a.json", "--csv", "a.csv"],
            "--csv needs the whole data set; leave it out for a shard.",
        ),
        (
            ["--shard", "1/3", "--json", "a.json", "--report", "a"],
            "--report needs the whole data set; leave it out for a shard.",
        ),
    ],
)
def test_what_a_shard_cannot_do(shards, run, words, message):
    code, _, error = run("evaluate", "data", *words)
    assert code == 2
    assert error.startswith(f"easyseg: {message}")
    assert not list(Path().glob("a*"))


def test_what_a_shard_cannot_do_in_python(seg, shards):
    with pytest.raises(InputError, match="shard='4/3' must be k/n"):
        evaluate(seg, "4/3")
    with pytest.raises(InputError, match="report= shows a whole data set; leave it out for a sh"):
        evaluate(seg, "1/3", report="a")


def test_csv_needs_an_evaluation(shards, run):
    Path("out/results-1-of-1.jsonl").touch()
    shutil.rmtree("data")
    for path in Path("out").glob("*.json"):
        path.unlink()
    assert run("merge", "out", "--csv", "a.csv")[2] == (
        "easyseg: --csv needs the scores of an evaluation, and out has none.\n"
    )


# What is not joined


def refusal():
    with pytest.raises(InputError) as error:
        merge_scores("out")
    assert not Path("out/scores.json").exists()
    return str(error.value)


def test_a_shard_that_is_missing(shards):
    Path("out/scores-2-of-3.json").unlink()
    assert refusal() == (
        "out has the files of 2 of 3 shards for scores.json. Run shard 2/3, then merge again."
    )


def test_a_shard_that_was_copied(shards):
    shutil.copy("out/scores-1-of-3.json", "out/scores-3-of-3.json")
    assert refusal() == (
        "out/scores-3-of-3.json belongs to shard 1/3 by its content; it was copied or renamed. "
        "Remove it, and run shard 3/3."
    )


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"boundary": False}, "boundary True and False"),
        ({"strict": True}, "strict None and True"),
    ],
)
def test_shards_of_different_settings(seg, shards, options, difference):
    save_scores(evaluate(seg, "3/3", **options), "out/scores.json")
    assert refusal() == (
        f"out/scores-1-of-3.json and out/scores-3-of-3.json have different settings: {difference}. "
        "Run all shards with the same options; a shard that is run again replaces its file."
    )
    save_scores(evaluate(seg, "3/3"), "out/scores.json")  # the cure
    assert len(merge_scores("out").images) == COUNT


def test_shards_of_different_models(seg, shards):
    other = SemanticSegmentation(segmenter(Path("other.onnx"), classes=2, stride=8), **NETWORK)
    save_scores(evaluate(other, "2/3"), "out/scores.json")
    message = refusal()
    assert f"have different settings: model {seg.name!r} and 'other.onnx', weights '" in message


def test_shards_of_different_images(seg, shards):
    Path("data/images/0.png").rename("data/images/new.png")
    Path("data/masks/0.png").rename("data/masks/new.png")
    save_scores(evaluate(seg, "3/3"), "out/scores.json")
    assert "are parts of different sets of images (5 and 5, by other names). " in refusal()


@pytest.mark.parametrize(
    "values",
    [
        {"part": None}, {"part.shard": "4/3"}, {"part.positions": [0]}, {"part.positions": "x"},
        {"part.all_images": None}, {"confusion.counts": [[1]]},
        {"confusion.counts": [[1.5] * 2] * 2}, {"confusion.missed": [-1, 0]},
        {"confusion.ignored": "x"}, {"boundary": {}},
        {"boundary.f_sum": [1]}, {"boundary.union": [0.5, 1]}, {"class_mapping": {}},
        {"class_mapping.prediction_ids": "x"}, {"per_image": 7}, {"per_image": [["a", 1]]},
        {"settings": 7},
    ],
)  # fmt: skip
def test_a_damaged_file(shards, values):
    change("scores-2-of-3.json", values)
    message = refusal()
    assert message.startswith("out/scores-2-of-3.json is not the scores of a shard, or is damaged.")


@pytest.mark.parametrize("content", ["", "{", "[1]", "null", '"a"'])
def test_another_file(shards, content):
    Path("out/scores-2-of-3.json").write_text(content)
    message = "is not the scores of a shard, or is damaged. Remove it, and run that shard again."
    assert refusal() == f"out/scores-2-of-3.json {message}"


def test_positions_that_are_taken_twice(shards):
    parts = [json.loads(Path(f"out/scores-{k}-of-3.json").read_text())["part"] for k in (1, 2, 3)]
    k, part = next((k, part) for k, part in enumerate(parts, 1) if part["images"])
    other = next(i for i in range(COUNT) if i not in part["positions"])
    change(f"scores-{k}-of-3.json", {"part.positions": [other, *part["positions"][1:]]})
    assert refusal() == (
        "the files of shards for out/scores.json do not contain each of the 5 images of the "
        "data set once. Remove them, and run the shards again."
    )


def test_a_folder_in_place_of_a_file(shards):
    Path("out/scores-2-of-3.json").unlink()
    Path("out/scores-2-of-3.json").mkdir()
    assert refusal().startswith("Cannot read out/scores-2-of-3.json: is a directory. ")
