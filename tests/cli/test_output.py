"""Printing never ends a run: in any encoding, and where stdout or stderr is closed or full."""

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from helpers import make_dataset
from helpers.make_video import make_video

from easyseg import cli
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


# by name: the words, the exit code, a file that it writes; `OUT` is an empty folder
COMMANDS = {
    "help": ("--help", 0, None),
    "version": ("--version", 0, None),
    "unknown": ("nothing", 2, None),
    "segment": ("segment images/0.png -o OUT/a.png", 0, "a.png"),
    "folder": ("segment images missing.png -o OUT/o", 2, None),
    "background": ("background blur images/0.png -o OUT/a.png", 0, "a.png"),
    "video": ("video ../v.mp4 -o OUT/a.mp4", 0, "a.mp4"),
    "check": ("check . --sheet OUT/s.png", 0, "s.png"),
    "clean": ("clean OUT", 0, None),
    "merge": ("merge OUT", 2, None),
    "launch": ("launch -n 0 -- train .", 2, None),
    "models": ("models", 0, None),
    "download": ("download mini", 0, None),
    "formats": ("export --list", 0, None),
    "push": ("push not/a/repository", 2, None),
    "demo": ("demo -o OUT/d", 0, "d/astronaut.overlay.png"),
}
WITH_TENSORFLOW = {
    "info": ("info mini", 0, None),
    "evaluate": ("evaluate . --classes background,cat --csv OUT/e.csv", 0, "e.csv"),
    "compare": (
        "compare . --classes background,cat -m mini -m b=mini -o OUT/c",
        0,
        "c/classes.csv",
    ),
    "export": ("export -m mini -o OUT/e.onnx", 0, "e.onnx"),
    "optimize": ("optimize --benchmark", 0, None),
    "train": ("train . -o OUT/run --epochs 1 --batch-size 2", 0, "run/report.html"),
}
PAIRS = [("closed", "closed"), ("closed", "full"), ("full", "full"), ("full", "open")]
PAIRS += [("open", "full"), ("open", "closed"), ("broken", "open"), ("open", "broken")]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = make_dataset.folders(tmp_path_factory.mktemp("outputs") / "data", 4)
    make_video(folder.parent / "v.mp4", frames=3)
    return folder


def run_with(place, out, words, stdout, stderr, unbuffered=""):
    """Runs a command as users do, with such streams; returns its exit code and what it printed."""
    with contextlib.ExitStack() as stack:
        ends = {}
        for name, kind in (("stdout", stdout), ("stderr", stderr)):
            if kind == "full":
                ends[name] = stack.enter_context(Path("/dev/full").open("w"))
            elif kind == "broken":
                reader, writer = os.pipe()
                os.close(reader)
                ends[name] = stack.enter_context(open(writer, "w"))  # noqa: PTH123
            elif kind == "open":
                ends[name] = subprocess.PIPE
        close = "".join(f" {n}>&-" for n, kind in ((1, stdout), (2, stderr)) if kind == "closed")
        command = ["sh", "-c", f'exec "$0" "$@"{close}', sys.executable, "-m", "easyseg"]
        command += [word.replace("OUT", str(out)) for word in words.split()]
        others = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "LANG")
        environment = {name: text for name, text in os.environ.items() if name not in others}
        environment |= {"EASYSEG_HOME": str(place.parent / "home")}
        if unbuffered:
            environment["PYTHONUNBUFFERED"] = unbuffered
        done = subprocess.run(
            command, **ends, env=environment, cwd=place, text=True, timeout=300, check=False
        )
    return done.returncode, done.stdout or "", done.stderr or ""


def check_with(place, out, name, stdout, stderr, unbuffered=""):
    words, code, result = (COMMANDS | WITH_TENSORFLOW)[name]
    got, printed, told = run_with(place, out, words, stdout, stderr, unbuffered)
    if stdout == "full" and code == 0:  # the results are there, but not what it had to say
        code = 2
        if stderr == "open":
            assert "easyseg: Cannot print: no space left on device. Free disk space" in told
    assert got == code, told
    for word in ("Traceback", "Exception ignored", "Error"):
        assert word not in printed + told
    assert result is None or (out / result).exists()


def test_every_command_is_here():
    words = {words.split()[0] for words, *_ in (COMMANDS | WITH_TENSORFLOW).values()}
    assert set(cli.COMMANDS) - words == {"serve", "mcp"}  # which run on


needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


@needs_full
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "demo"])
def test_commands_print_to_broken_outputs(name, place, tmp_path):
    check_with(place, tmp_path, name, "broken", "full")


@needs_full
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(("name", "stdout", "stderr"), [("version", "full", "open"),
                                                        ("unknown", "open", "full")])  # fmt: skip
def test_buffers_change_nothing(name, stdout, stderr, unbuffered, place, tmp_path):
    check_with(place, tmp_path, name, stdout, stderr, unbuffered)


@needs_full
@pytest.mark.slow
@pytest.mark.parametrize(("stdout", "stderr"), PAIRS)
@pytest.mark.parametrize("name", COMMANDS)
def test_all_commands_print_to_any_outputs(name, stdout, stderr, place, tmp_path):
    check_with(place, tmp_path, name, stdout, stderr)


@needs_full
@pytest.mark.slow
@pytest.mark.parametrize(("stdout", "stderr"), [("full", "closed"), ("broken", "full")])
@pytest.mark.parametrize("name", WITH_TENSORFLOW)
def test_commands_with_tensorflow(name, stdout, stderr, place, tmp_path):
    check_with(place, tmp_path, name, stdout, stderr)


@needs_full
@pytest.mark.slow
@pytest.mark.parametrize(("output", "code"), [("/dev/full", 2), ("/dev/null", 0)])
def test_a_server_that_cannot_print(output, code):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "easyseg", "serve", "--port", str(port)]
    with Path(output).open("w") as stdout, Path("/dev/full").open("w") as stderr:
        process = subprocess.Popen(words, stdout=stdout, stderr=stderr)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz"),
        ):
            break
        time.sleep(0.2)
    process.terminate()
    assert process.wait(40) == code


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
