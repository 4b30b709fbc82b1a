"""`easyseg video`: options, results and refusals."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from helpers.make_video import RedVideos, is_green, make_video, read_video

from easyseg.cli import main
from easyseg.cli.video import video

av = pytest.importorskip("av", reason="videos need easyseg[video]")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """`easyseg video` with a network that finds what is red."""

    class Ready(RedVideos):
        def __init__(self, model, *, batch_size, **options):
            super().__init__(batch_size=batch_size)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("easyseg.cli.options.SemanticSegmentation", Ready)
    monkeypatch.setattr("easyseg.cli.options.ChosenModel.check_classes", lambda *_: None)

    def call(*args):
        with pytest.raises(SystemExit) as caught:
            main(["video", *map(str, args)])
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return call


def files():
    return sorted(p.name for p in Path().iterdir())


def test_the_command(run):
    make_video(Path("a.mp4"))
    args = ("-m", "mini", "--frame-stride", 2, "--batch-size", 4)
    code, out, err = run("a.mp4", "-o", "new/b.webm", *args)
    assert code == 0
    assert "20/20" in err
    assert out.startswith("20 frames, 0.8 s at 25 per second, in ")
    assert out.endswith(" -> new/b.webm\n")
    assert is_green(read_video(Path("new/b.webm"))[1][4])[14, 12]


def test_quiet_prints_nothing(run):
    make_video(Path("a.mp4"), frames=1)
    assert run("a.mp4", "--frame-stride", 5, "-q") == (0, "", "")


def test_a_video_is_opened_once(run, monkeypatch):
    make_video(Path("a.mp4"), audio="aac")
    opened = []
    open_container = av.open

    def counting(name, mode="r", *args, **options):
        opened.extend([name] * (mode == "r"))
        return open_container(name, mode, *args, **options)

    monkeypatch.setattr(av, "open", counting)
    assert run("a.mp4", "-q")[0] == 0
    assert opened == ["file:a.mp4"]


def test_the_result_goes_beside_the_video(run):
    make_video(Path("a.mkv"))
    code, out, _ = run("a.mkv", "-k", "color", "-c", "red", "--smoothing", 0.5)
    assert code == 0
    assert out.endswith(" -> a.seg.mp4\n")
    assert files() == ["a.mkv", "a.seg.mp4"]


def test_a_part_with_a_legend(run):
    make_video(Path("a.mp4"), size=(320, 240))
    args = ("--start", 0.2, "--end", 0.4, "-k", "color")
    assert run("a.mp4", "-o", "b.mp4", *args)[1].startswith("5 frames, 0.2 s at 25 per second, ")
    assert run("a.mp4", "-o", "c.mp4", *args, "--legend")[0] == 0
    without, legend = (read_video(Path(name))[1][0].astype(int) for name in ("b.mp4", "c.mp4"))
    assert (abs(without - legend) > 50).any(-1).sum() > 100


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["missing.mp4"], "Cannot read missing.mp4: it does not exist"),
        (["a.mp4", "-o", "a.mp4"], "would overwrite the video a.mp4"),
        (["a.mp4", "-o", "b.gif"], "expected a video with one of the extensions .mp4"),
        (["a.mp4", "-k", "cutout"], "a.seg.mp4: .mp4 has no transparency"),
        (["a.mp4", "-c", "rad"], "unknown class of reds 'rad'. Did you mean 'red'?"),
        (["a.mp4", "--smoothing", "1"], "--smoothing"),
        (["a.mp4", "--frame-stride", "0"], "--frame-stride"),
        (["a.mp4", "--start", "2", "--end", "1"], "--end 1.0 must"),
        (["a.mp4", "-k", "coco"], "coco"),
        (["0"], "the video of 0 has no output; give --out, or --show."),
        (["97", "-o", "b.mp4"], "Cannot open camera 97"),
    ],
    ids=" ".join,
)
def test_errors_are_one_line(run, args, words):
    make_video(Path("a.mp4"), frames=2)
    code, out, err = run(*args, "-q")
    assert (code, out) == (2, "")
    assert err.startswith("easyseg: ")
    assert err.count("\n") == 1
    assert words in err
    assert files() == ["a.mp4"]


@pytest.mark.slow
def test_ctrl_c_in_a_process_of_its_own(tmp_path):
    """With the embedded model, as a user would: the video so far is there and plays."""
    make_video(tmp_path / "a.mp4", frames=3000, size=(320, 240))
    running = subprocess.Popen(
        [sys.executable, "-m", "easyseg", "video", "a.mp4", "-o", "b.mp4"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(1)
    while not any(p.suffix == ".part" and p.stat().st_size for p in tmp_path.iterdir()):
        assert running.poll() is None
        time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    err = running.communicate(timeout=60)[1]
    assert running.returncode == 130
    assert err.rstrip().endswith("easyseg: stopped.")
    assert "b.mp4 holds the " in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]
    assert 0 < len(read_video(tmp_path / "b.mp4")[0]) < 3000


def test_help_lists_only_kinds_that_a_video_can_hold():
    context = click.Context(video)
    text = next(p.help for p in video.params if p.name == "kind")
    assert video.get_help(context)
    assert "overlay" in text
    assert "coco" not in text
    assert "npz" not in text
