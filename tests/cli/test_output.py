"""Printing never ends a run: in any encoding, and where stdout and stderr are closed."""

import contextlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import make_dataset
from PIL import Image

from easyseg.cli import main
from easyseg.errors import VideoError

NAMES = ["地面", "caf\u00e9"]


@pytest.fixture
def data(tmp_path):
    folder = make_dataset.folders(tmp_path / "données \udce9")  # a name that is not UTF-8
    for kind in ("images", "masks"):
        (folder / kind / "0.png").rename(folder / kind / "\udce9.png")
    (folder / "classes.txt").write_text("\n".join(NAMES), "utf-8")
    return folder


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_names_in_any_encoding(data, monkeypatch, encoding):
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding) for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    for arguments in (["check", str(data), "--quick"], ["check", f"{data}/none"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code in (0, 2)
    out, err = (streams[name].buffer.getvalue() for name in ("stdout", "stderr"))
    assert NAMES[0].encode("utf-8" if encoding == "ascii" else encoding, "backslashreplace") in out
    assert b"Traceback" not in err
    assert b"donn" in err


def test_closed_streams(data):
    done = subprocess.run(
        f"{sys.executable} -m easyseg check '{data}' --quick <&- >&- 2>&-", shell=True, check=False
    )
    assert done.returncode == 0


def run_with_full(stream, words, unbuffered=""):
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}  # empty is the same as not set
    with Path("/dev/full").open("w") as output:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: output}
        command = [sys.executable, "-m", "easyseg", *words]
        return subprocess.run(command, **streams, env=environment, text=True, check=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(("words", "full"), [("--version", "stdout"), ("nothing", "stderr")])
def test_a_full_output_is_an_error_without_a_traceback(words, full, unbuffered):
    done = run_with_full(full, [words], unbuffered)
    assert done.returncode == 2
    if full == "stdout":
        assert done.stderr == (
            "easyseg: Cannot print: no space left on device. Free disk space, or print elsewhere.\n"
        )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_warnings_that_cannot_be_printed_end_no_run(tmp_path):
    image = tmp_path / "gray.png"
    Image.new("RGB", (40, 30)).save(image)
    words = ["segment", image, "-o", tmp_path / "out.png"]  # without --model it warns
    assert run_with_full("stderr", words).returncode == 0
    assert (tmp_path / "out.png").is_file()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_that_a_library_takes_for_an_error(monkeypatch, capsys, number):
    def command(*_, **__):
        with contextlib.suppress(KeyboardInterrupt):  # as callbacks from C do
            signal.raise_signal(number)
        raise VideoError("Cannot read a.mp4: interrupted.")

    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr("easyseg.cli.cli.main", command)
    try:
        with pytest.raises(SystemExit, match="130"):
            main([])
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert capsys.readouterr().err == "easyseg: stopped.\n"
