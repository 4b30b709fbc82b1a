"""A run in shards gives what a single run gives, whoever does which shard and however often."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from helpers.foreign_onnx import MEAN, STD, segmenter
from helpers.make_dataset import save, scene

from easyseg import SemanticSegmentation
from easyseg.cli import main
from easyseg.distributed import merge_results
from easyseg.errors import InputError
from easyseg.io.atomic import HOST
from easyseg.io.shards import Shard, take_part

COUNT = 6
NETWORK = {"class_names": ["ground", "box"], "mean": MEAN, "std": STD}
OPTIONS = [
    "--class-names", "ground,box", "--mean", ",".join(map(str, MEAN)),
    "--std", ",".join(map(str, STD)),
]  # fmt: skip


@pytest.fixture(scope="module")
def seg(tmp_path_factory):
    """A network that takes a millisecond."""
    path = tmp_path_factory.mktemp("model") / "net.onnx"
    return SemanticSegmentation(segmenter(path, classes=2), **NETWORK)


@pytest.fixture(scope="module")
def finished(seg, tmp_path_factory):
    """A folder with images, of which one is none, and what two shards of them gave."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for i in range(COUNT):
            save(Path("images", *["deep"] * (i % 2), f"{i}.png"), scene(i)[0])
        Path("images/bad.png").write_text("no image")
        in_shards(seg, 2)
    return folder


@pytest.fixture
def two_shards(finished, tmp_path, monkeypatch):
    """The working folder, a copy of that."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def images(two_shards, tmp_path):
    """The same without results."""
    shutil.rmtree("out")
    return tmp_path


@pytest.fixture
def run(capsys):
    """Calls the command line; gives the exit code, stdout and stderr."""

    def call(*words):
        with pytest.raises(SystemExit) as stop:
            main(list(map(str, words)))
        return stop.value.code, *capsys.readouterr()

    return call


def segment(seg, shard=None, out="out", sources="images", **options):
    options = {"kind": "mask", "progress": False, **options}
    return seg.segment_folder(sources, out, shard=shard, **options)


def in_shards(seg, count, **options):
    return [segment(seg, f"{k}/{count}", **options) for k in range(1, count + 1)]


def lines(path="out/results.jsonl"):
    """The lines of a log, without what a clock measured."""
    read = map(json.loads, Path(path).read_text().splitlines())
    return [{key: value for key, value in line.items() if key != "milliseconds"} for line in read]


def change(path, **values):
    """Changes values of the first line of a log, or of its part."""
    first, *others = Path(path).read_text().splitlines(keepends=True)
    line = json.loads(first)
    for name, value in values.items():
        (line["part"] if name in line["part"] else line)[name] = value
    Path(path).write_text(json.dumps(line) + "\n" + "".join(others))


def results(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*.png")
    }


# Which images


def test_each_image_is_in_one_shard_and_shards_are_about_equal():
    names = [f"deep/{i}.png" for i in range(4000)]
    parts = [take_part(names, Shard(k, 16)) for k in range(1, 17)]
    assert sorted(i for part in parts for i in part.positions) == list(range(4000))
    assert max(abs(len(part.positions) - 250) for part in parts) < 70
    assert len({part.digest for part in parts}) == 1


def test_images_of_one_name_are_spread_too():
    parts = [take_part(["image.png"] * 1000, Shard(k, 4)) for k in range(1, 5)]
    assert min(len(part.positions) for part in parts) > 200
    assert sum(len(part.positions) for part in parts) == 1000


def test_membership_is_that_of_earlier_versions():
    """Else a run that is resumed with a new version would do images twice."""
    names = ["a.jpg", "deep/b.jpg", "c d.png", "https://a.b/c.jpg", "\udcff.png", "ä.png"]
    shards = [next(k for k in range(1, 6) if Shard(k, 5).holds(name)) for name in names]
    assert shards == [5, 3, 4, 3, 1, 3]
    assert take_part(names, Shard(1, 5)).digest == "3a632a85170f3a6d"


def test_where_the_folder_is_mounted_does_not_matter(seg, images, tmp_path):
    segment(seg, "1/2")
    here = {
        line["part"]["index"]: Path(line["source"]).name
        for line in lines("out/results-1-of-2.jsonl")
    }
    shutil.copytree("images", "elsewhere/mounted")
    segment(seg, "1/2", out="other", sources=tmp_path / "elsewhere/mounted")
    there = lines("other/results-1-of-2.jsonl")
    assert {line["part"]["index"]: Path(line["source"]).name for line in there} == here
    assert 0 < len(here) < COUNT


@pytest.mark.parametrize(
    "text",
    [
        "0/16",
        "17/16",
        "3",
        "a/b",
        "",
        "1/0",
        "-1/2",
        "1/2/3",
        "1.0/2",
        "1/9999999",
        "1/" + "9" * 5000,
    ],
)
def test_shards_that_do_not_exist(seg, images, run, text):
    with pytest.raises(InputError, match="must be k/n with k from 1 to n, such as '3/16'") as error:
        segment(seg, text)
    assert str(error.value).startswith(f"shard='{text}'")
    code, _, message = run("segment", "images", "-o", "out", "--shard", text)
    assert code == 2
    assert message.startswith(f"easyseg: --shard {text}".rstrip())
    assert not Path("out").exists()


def test_a_shard_is_text(seg, images):
    with pytest.raises(InputError, match="shard=3 must be a name, such as '3/16'"):
        segment(seg, 3)


# Joined, they are one run


def test_shards_are_one_run(seg, images):
    whole = segment(seg, out="whole")
    summaries = in_shards(seg, 4)
    merged = merge_results("out")
    assert results("out") == results("whole")
    assert sum(summary.done for summary in summaries) == merged.done == whole.done == COUNT
    assert merged.failed == whole.failed
    assert merged.shards == 4
    own = lines()
    for line in own:
        if "result" in line:
            line["result"] = line["result"].replace("out", "whole")
    assert own == lines("whole/results.jsonl")
    assert segment(seg, resume=True).skipped == COUNT, "a single run continues"


def test_names_of_results_do_not_depend_on_the_shard(seg, images):
    for i in range(3):
        save(Path(f"images/{i}.bmp"), scene(50 + i)[0])
    sources = ["images", "images/deep"]
    segment(seg, out="whole", sources=sources)
    in_shards(seg, 5, sources=sources)
    merge_results("out")
    assert results("out") == results("whole")
    assert {"0_png.png", "0_bmp.png"} <= set(results("out"))


def test_results_beside_the_images_and_another_log(seg, images):
    in_shards(seg, 2, out=None)
    assert merge_results("images").done == COUNT
    assert len(lines("images/results.jsonl")) == COUNT + 1
    in_shards(seg, 2, jsonl="logs/areas.jsonl")
    assert sorted(p.name for p in Path("logs").iterdir()) == [
        "areas-1-of-2.jsonl", "areas-2-of-2.jsonl"
    ]  # fmt: skip
    assert merge_results("logs/areas.jsonl").jsonl == Path("logs/areas.jsonl")


def test_more_shards_than_images(seg, images, run):
    sources = ["images/0.png", "images/2.png"]
    for k in range(1, 6):
        code, out, _ = run(
            "segment", *sources, "-o", "out", "--shard", f"{k}/5", "-m", seg.name, *OPTIONS
        )
        assert code == 0
        log = Path(f"out/results-{k}-of-5.jsonl")
        count = len(lines(log))
        assert out.startswith(f"{count} of {count} done in ")
    assert run("merge", "out")[:2] == (0, "2 of 2 done in 5 shards -> out/results.jsonl\n")


def test_the_command_lists_failures(seg, images, run):
    in_shards(seg, 3)
    code, out, err = run("merge", "out")
    assert code == 2
    assert out == f"{COUNT} of {COUNT + 1} done, 1 failed in 3 shards -> out/results.jsonl\n"
    assert err.startswith("easyseg: Cannot read images/bad.png: not an image")
    assert run("merge", "out", "-q")[1] == ""


def test_backgrounds_in_shards(seg, images, run):
    Path("images/bad.png").unlink()
    seg.gray_background("images", "whole", progress=False)
    for k in (1, 2):
        words = ["background", "gray", "images", "-o", "out", "-q", "-m", seg.name, *OPTIONS]
        assert run(*words, "--shard", f"{k}/2")[0] == 0
    assert run("merge", "out")[0] == 0
    assert results("out") == results("whole")
    message = "easyseg: --shard is for images; leave it out for a video."
    assert run("background", "gray", "a.mp4", "--shard", "1/2")[2].strip() == message
    with pytest.raises(InputError, match="shard= needs a folder or a list of images"):
        seg.gray_background("a.mp4", "b.mp4", shard="1/2")
    with pytest.raises(InputError, match="resume=True needs a folder or a list of images"):
        seg.gray_background("a.mp4", "b.mp4", resume=True)


# Resumed


def test_a_shard_resumes(seg, two_shards):
    log = Path("out/results-1-of-2.jsonl")
    text = log.read_text()
    kept = len(text.splitlines()) // 2
    log.write_text("".join(text.splitlines(keepends=True)[:kept]) + text[:30])  # as if killed
    with pytest.raises(InputError) as error:
        merge_results("out")
    missing = len(text.splitlines()) - kept
    assert str(error.value) == (
        f"{missing} of 7 images of out/results.jsonl are not done: shard 1/2 did not finish. "
        "Resume, then merge again."
    )
    assert segment(seg, "1/2", resume=True).skipped == sum("result" in x for x in lines(log)[:kept])
    assert merge_results("out").done == COUNT


def test_a_shard_that_had_not_begun(seg, two_shards):
    Path("out/results-2-of-2.jsonl").write_text("")
    with pytest.raises(InputError, match=r"are not done: shard 2/2 did not finish\. Resume, "):
        merge_results("out")
    Path("out/results-1-of-2.jsonl").write_text("")
    with pytest.raises(InputError, match=r"all logs of shards for out/results.jsonl are empty"):
        merge_results("out")


def test_images_that_come_and_go_between_runs(seg, two_shards):
    Path("images/0.png").unlink()
    save(Path("images/new.png"), scene(99)[0])
    segment(seg, "1/2", resume=True)
    with pytest.raises(InputError) as error:
        merge_results("out")
    assert str(error.value) == (
        "out/results-1-of-2.jsonl and out/results-2-of-2.jsonl are parts of different sets of "
        "images (7 and 7, by other names). Resume all shards on the same files, then merge again."
    )
    segment(seg, "2/2", resume=True)
    merge_results("out")
    names = {Path(line["source"]).name for line in lines()}
    assert "new.png" in names
    assert "0.png" not in names
    save(Path("images/0.png"), scene(0)[0])
    segment(seg, "1/2", resume=True)
    with pytest.raises(InputError, match=r"different sets of images \(8 and 7\)"):
        merge_results("out")


KILLED = """
import sys
import tracemalloc
from easyseg import SemanticSegmentation
SemanticSegmentation("mini").segment_folder(
    "images", "out", kind="mask", shard=sys.argv[1], resume=True, progress=False
)
"""


@pytest.mark.slow
def test_workers_that_are_killed_and_started_again(images):
    """Three at a time, each killed at other moments until it ends by itself."""
    for i in range(100, 220):
        save(Path(f"images/{i}.png"), scene(i, (60, 80))[0])
    rng = np.random.default_rng(0)
    open_shards = {f"{k}/3" for k in (1, 2, 3)}
    kills = 0
    while open_shards:
        workers = {
            shard: subprocess.Popen([sys.executable, "-c", KILLED, shard]) for shard in open_shards
        }
        for shard, worker in workers.items():
            try:
                wait = rng.uniform(0.7, 1.7) if kills < 12 else 300
                assert worker.wait(timeout=wait) == 0
                open_shards.remove(shard)
            except subprocess.TimeoutExpired:
                worker.send_signal(signal.SIGKILL)
                worker.wait()
                kills += 1
    assert kills >= 6
    segment(SemanticSegmentation("mini"), out="whole")
    assert merge_results("out").done == COUNT + 120
    logged = [line["source"] for k in (1, 2, 3) for line in lines(f"out/results-{k}-of-3.jsonl")]
    assert len(logged) == len(set(logged)) == COUNT + 121
    assert results("out") == results("whole")
    assert not list(Path("out").rglob("*.part"))


def test_live_shards_keep_their_incomplete_files(seg, images):
    """Whether of another process of this computer, or of another computer."""
    worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    Path("out").mkdir()
    live = [
        Path(f"out/.1-{HOST}-{worker.pid}-0123abcd.part"),
        Path("out/.1-00000000-1-0123abcd.part"),
    ]
    for path in live:
        path.touch()
    try:
        segment(seg, "1/2")
        assert all(path.exists() for path in live)
    finally:
        worker.communicate(b"\n")
    segment(seg, "2/2")
    assert [path.exists() for path in live] == [False, True]


@pytest.mark.slow
def test_many_shards_at_once_prepare_the_folder(seg, images):
    """Processes that start together make the same folders, and none removes another's files."""
    Path("images/bad.png").unlink()
    command = [sys.executable, "-m", "easyseg", "segment", "images", "-o", "new/deep/out", "-q"]
    workers = [
        subprocess.Popen([*command, "-k", "mask", "-m", seg.name, *OPTIONS, "--shard", f"{k}/4"])
        for k in range(1, 5)
    ]
    assert [worker.wait(timeout=100) for worker in workers] == [0] * 4
    assert merge_results("new/deep/out").done == COUNT


# What is not joined


def test_shards_that_are_missing(seg, images, run):
    segment(seg, "2/30")
    message = "out has the files of 1 of 30 shards for results.jsonl. Run shards 1/30, 3/30, 4/30, "
    code, _, error = run("merge", "out")
    assert code == 2
    assert error.strip() == f"easyseg: {message}5/30, 6/30 and 24 more, then merge again."
    assert not Path("out/results.jsonl").exists()


def test_logs_of_different_settings(seg, images):
    segment(seg, "1/2")
    segment(seg, "2/2", kind="overlay", alpha=0.3)
    with pytest.raises(InputError) as error:
        merge_results("out")
    assert str(error.value) == (
        "out/results-1-of-2.jsonl and out/results-2-of-2.jsonl have different settings: kind "
        "'mask' and 'overlay', alpha 0.6 and 0.3. Run all shards with the same options; a shard "
        "that is run again replaces its file."
    )
    segment(seg, "2/2")  # the cure
    assert merge_results("out").done == COUNT


def test_logs_of_other_numbers_of_shards(seg, images):
    segment(seg, "1/2")
    in_shards(seg, 3)
    with pytest.raises(InputError) as error:
        merge_results("out")
    assert str(error.value) == (
        "out/results-1-of-2.jsonl and out/results-1-of-3.jsonl are of runs in 2 and in 3 shards. "
        "Remove the files of the run that you do not want."
    )
    Path("out/results-1-of-2.jsonl").unlink()
    assert merge_results("out").done == COUNT


def test_a_log_that_was_copied(seg, two_shards):
    shutil.copy("out/results-1-of-2.jsonl", "out/results-2-of-2.jsonl")
    with pytest.raises(InputError) as error:
        merge_results("out")
    assert str(error.value) == (
        "out/results-2-of-2.jsonl belongs to shard 1/2 by its content; it was copied or renamed. "
        "Remove it, and run shard 2/2."
    )


def test_lines_that_contradict_each_other(seg, two_shards):
    log = Path("out/results-1-of-2.jsonl")
    first = log.read_text().splitlines(keepends=True)[0]
    log.write_text(log.read_text() + first)  # two workers did the same
    assert merge_results("out").done == COUNT
    change(log, width=7)
    source = json.loads(first)["source"]
    with pytest.raises(InputError) as error:
        merge_results("out")
    assert str(error.value) == (
        f"out/results-1-of-2.jsonl contradicts an earlier line on {source}. "
        "Remove it, and run shard 1/2 again."
    )
    log.unlink()
    segment(seg, "1/2")
    assert merge_results("out").done == COUNT


@pytest.mark.parametrize(
    "values",
    [
        {"part": None}, {"part": 7}, {"settings": 7}, {"index": 7}, {"index": -1},
        {"index": "0"}, {"index": True}, {"all_images": 10**18}, {"images": 0}, {"images": 8},
        {"shard": 1}, {"all_names": None},
    ],
)  # fmt: skip
def test_a_log_with_strange_lines(seg, two_shards, values):
    change("out/results-1-of-2.jsonl", **values)
    with pytest.raises(InputError) as error:
        merge_results("out")
    assert str(error.value).startswith("out/results-1-of-2.jsonl is not the log of a shard, by its")
    assert str(error.value).endswith(". Remove it, and run shard 1/2.")


def test_other_files_are_not_touched(seg, two_shards):
    Path("out/results.jsonl").write_text("mine")
    with pytest.raises(InputError, match=r"out/results.jsonl exists and is not a results log"):
        merge_results("out")
    assert Path("out/results.jsonl").read_text() == "mine"
    Path("out/results.jsonl").unlink()
    Path("out/results-1-of-2.jsonl").write_text("mine")
    with pytest.raises(InputError, match=r"results-1-of-2.jsonl exists and is not a results log"):
        merge_results("out")


def test_folders_without_shards(images, run):
    code, _, message = run("merge", "images")
    assert code == 2
    assert message == (
        "easyseg: images has no files of shards, such as results-1-of-16.jsonl or "
        "scores-1-of-16.json. Name the folder into which the shards wrote.\n"
    )
    assert run("merge", "nowhere")[0] == 2
    with pytest.raises(InputError, match="there are no files of shards for nowhere, such as nowh"):
        merge_results("nowhere")
    with pytest.raises(InputError, match="out=3 must be a name or a path"):
        merge_results(3)


def test_many_lines_take_little_memory(seg, tmp_path, monkeypatch):
    """The lines stay on the disk: 5,000 of a kilobyte, which are more as Python's objects."""
    monkeypatch.chdir(tmp_path)
    count, part = 5_000, {"all_images": 5_000, "all_names": "x"}
    for k in (1, 2):
        positions = range(k - 1, count, 2)
        with Path(f"results-{k}-of-2.jsonl").open("w") as log:
            for i in reversed(positions):
                place = {**part, "shard": f"{k}/2", "images": len(positions), "index": i}
                log.write(json.dumps({"source": f"{i}.png", "result": "x" * 800,
                                      "settings": {}, "part": place}) + "\n")  # fmt: skip
    tracemalloc.start()
    assert merge_results(".").done == count
    assert tracemalloc.get_traced_memory()[1] < 2 << 20
    tracemalloc.stop()
    assert [line["source"] for line in lines("results.jsonl")] == [f"{i}.png" for i in range(count)]
