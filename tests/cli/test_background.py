"""`easyseg background`: what it hands on, where results go, and refusals."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from helpers.make_video import make_video
from PIL import Image

from easyseg import SemanticSegmentation, read_image
from easyseg.cli import main

IMAGE = np.random.default_rng(11).integers(0, 256, (60, 90, 3), np.uint8)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Calls the command in a folder with in/image.png and in/other.jpg."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Image.fromarray(IMAGE).save("in/image.png")
    Image.fromarray(255 - IMAGE).save("in/other.jpg")

    def call(*args):
        with pytest.raises(SystemExit) as caught:
            main(["background", *map(str, args)])
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return call


@pytest.fixture
def calls(monkeypatch):
    """The methods that the command calls, with their arguments."""
    recorded = []

    class Recorder:
        def __init__(self, model, **options):
            pass

        def __getattr__(self, method):
            def call(source, out=None, **options):
                recorded.append((method, source, out, options))

            return call

    monkeypatch.setattr("easyseg.cli.options.SemanticSegmentation", Recorder)
    return recorded


@pytest.mark.parametrize(
    ("args", "method", "option"),
    [
        (["blur"], "blur_background", {"strength": "moderate"}),
        (["blur", "--strength", "extreme"], "blur_background", {"strength": "extreme"}),
        (["blur", "--strength", "7"], "blur_background", {"strength": 7.0}),
        (["color", "--color", "#00ff00"], "color_background", {"color": "#00ff00"}),
        (
            ["change", "--background", "in/image.png"],
            "change_background",
            {"background": "in/image.png"},
        ),
        (["gray"], "gray_background", {}),
        (["cutout"], "cutout", {}),
    ],
)
def test_methods(run, calls, args, method, option):
    done = run(args[0], "in/image.png", "-o", "out.png", "--keep", "person, 2", *args[1:])
    assert done[:2] == (0, "1 of 1 -> out.png\n")
    assert calls == [(method, "in/image.png", Path("out.png"), {**option, "keep": ["person", 2]})]


def test_a_video(run, calls):
    make_video(Path("a.mp4"), frames=2)
    assert run("gray", "a.mp4", "--frame-stride", 2, "--start", 1, "-q", "-m", "mini") == (
        0,
        "",
        "",
    )
    ((method, source, out, options),) = calls
    assert (method, source.name, out) == ("gray_background", "a.mp4", Path("a.seg.mp4"))
    assert options == {
        "keep": None, "frame_stride": 2, "smoothing": 0.0, "start": 1.0, "end": None,
        "show": False, "progress": False,
    }  # fmt: skip


@pytest.fixture
def mini(monkeypatch):
    """The embedded model, opened once for all calls of a test."""
    seg = SemanticSegmentation("mini")
    monkeypatch.setattr("easyseg.cli.options.SemanticSegmentation", lambda *_, **__: seg)
    return seg


def test_folders_patterns_and_resume(run, mini):
    out = run("gray", "in", "-o", "out")[1]
    assert re.match(r"2 of 2 done, 2 with nothing to keep in .* s -> out\nnothing to keep in ", out)
    assert sorted(p.name for p in Path("out").iterdir()) == [
        "image.png", "other.png", "results.jsonl"
    ]  # fmt: skip
    gray = mini.gray_background(IMAGE)
    np.testing.assert_array_equal(read_image("out/image.png"), gray)
    out = run("gray", "in", "-o", "out", "--resume")[1]
    assert out.startswith("0 of 2 done, 2 skipped in ")
    assert run("blur", "in", "-o", "out", "--resume")[1].startswith("2 of 2 done, 2 with")
    assert run("cutout", "in/*.png", "in/other.jpg")[0] == 0
    assert Path("in/image.seg.png").exists()
    Path("in/broken.png").write_text("not an image")
    code, out, err = run("gray", "in/*.jpg", "in/broken.png", "-o", "more")
    assert code == 2
    assert out.startswith("1 of 2 done, ")
    assert "1 failed" in out
    assert "Cannot read in/broken.png" in err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["blurr", "in/image.png"], "unknown effect 'blurr'. Did you mean 'blur'?"),
        (["grey", "in/image.png"], "unknown effect 'grey'. Did you mean 'gray'?"),
        (["colour", "in/image.png"], "unknown effect 'colour'. Did you mean 'color' or "),
        (["change", "in/image.png"], "change needs --background."),
        (["color", "in/image.png"], "color needs --color."),
        (
            ["gray", "in/image.png", "--strength", "low"],
            "--strength is for the effect blur, not for gray; leave it out.",
        ),
        (["gray", "in", "--start", "0"], "--start is for videos; leave it out for images."),
        (
            ["blur", "in/image.png", "--colour", "red"],
            "No such option '--colour'. (Did you mean one of: '--color'",
        ),
        (["gray", "in/image.png", "--keep", "dog,,cat"], "'dog,,cat' must be names or ids"),
        (["blur", "in/image.png", "--strength", "-1"], "--strength -1.0 must be low, moderate"),
        (["color", "in/image.png", "--color", "gren"], "Did you mean 'green' or 'grey'"),
        (["gray", "missing.png"], "Cannot read missing.png: it does not exist"),
        (["gray", "in/image.png", "-o", "in/image.png"], "would overwrite the image in/image.png"),
        (["cutout", "in/image.png", "-o", "out.jpg"], "'cutout' output needs a format"),
        (["gray", "a.mp4", "-o", "b.gif"], "b.gif"),
        (["cutout", "a.mp4"], "a.seg.mp4: .mp4 has no transparency"),
    ],
    ids=" ".join,
)
def test_refusals_before_a_model_is_opened(run, monkeypatch, args, message):
    monkeypatch.setattr("easyseg.cli.options.SemanticSegmentation", None)
    make_video(Path("a.mp4"), frames=2)
    before = sorted(Path().rglob("*"))
    code, out, err = run(*args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("easyseg: ")
    assert message in err
    assert sorted(Path().rglob("*")) == before
