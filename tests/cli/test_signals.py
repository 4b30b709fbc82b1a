"""Ctrl-C and SIGTERM end every command within seconds, whatever it waits for, and in order."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from helpers import make_dataset
from helpers.make_video import make_video

SECONDS = 10  # in which a command ends, on processors that others use; else 5
SIGNALS = [signal.SIGTERM, signal.SIGINT]

needs_sessions = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")


class SilentServer:
    """Takes connections and says nothing; `asked` is set when one has come."""

    def __init__(self):
        self._socket, self._open = socket.create_server(("127.0.0.1", 0)), []
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(connection)
            self.asked.set()

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)  # ends `accept`
        self._socket.close()
        self._thread.join(1)
        for each in self._open:
            each.close()


@pytest.fixture
def server():
    server = SilentServer()
    yield server
    server.close()


def is_gone(group, seconds):
    """Whether no process of the group runs on after that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


class Run:
    """A command as users run it, in a session of its own, in whose folder it may write."""

    def __init__(self, place, *words, **variables):
        temporary = place / "temporary"
        temporary.mkdir(exist_ok=True)
        others = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "LANG")
        environment = {name: text for name, text in os.environ.items() if name not in others}
        environment |= {"EASYSEG_HOME": str(place / "home"), "TMPDIR": str(temporary), **variables}
        self._log = (place / "log").open("w+", errors="replace")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "easyseg", *words],
            **dict.fromkeys(("stdout", "stderr"), self._log),
            stdin=subprocess.DEVNULL,
            cwd=place,
            env=environment,
            start_new_session=True,
        )

    def close(self):
        """Leaves it alone."""
        self._log.close()

    def stop(self, number, *, group=False, seconds=SECONDS):
        """Sends the signal; returns the exit code and what was printed. Nothing else runs on."""
        began = time.monotonic()
        (os.killpg if group else os.kill)(self.process.pid, number)
        try:
            code = self.process.wait(60)
            assert time.monotonic() - began < seconds
            assert is_gone(self.process.pid, 5)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            self._log.seek(0)
            text = self._log.read()
            self._log.close()
        for word in ("Traceback", "Exception ignored", "Error"):
            assert word not in text
        return code, text


WAITS = {
    "image": ["segment", "http://{address}/a.png", "-o", "a.png"],
    "images": ["segment", "http://{address}/a.png", "http://{address}/b.png", "-o", "out"],
    "background": ["background", "change", "a.png", "--background", "http://{address}/b.png"],
    "video": ["video", "http://{address}/a.mp4", "-o", "b.mp4"],
    "stream": ["video", "rtsp://{address}/a", "-o", "b.mp4"],
    "weights": ["download", "mobilenetv2.voc"],
}


@needs_sessions
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "video" else pytest.mark.slow) for n in WAITS]
)
def test_a_server_that_is_silent(name, number, server, tmp_path):
    make_dataset.save(tmp_path / "a.png", make_dataset.scene(0)[0])
    words = [word.format(address=server.address) for word in WAITS[name]]
    proxy = {"HTTPS_PROXY": f"http://{server.address}"} if name == "weights" else {}
    run = Run(tmp_path, *words, **proxy)
    assert server.asked.wait(60)
    code, text = run.stop(number)
    assert code == 130
    assert "easyseg: stopped." in text


@needs_sessions
@pytest.mark.slow
def test_a_pipe_into_which_nobody_writes(tmp_path):
    os.mkfifo(tmp_path / "in.mp4")
    run = Run(tmp_path, "video", "in.mp4", "-o", "out.mp4")
    time.sleep(3)
    assert run.process.poll() is None
    assert run.stop(signal.SIGTERM)[0] == 130


STUCK = """
import hashlib, click, easyseg.cli, easyseg.cli._signals
easyseg.cli._signals.PATIENCE = 1
click.Command.main = lambda *_, **__: {}
easyseg.cli.main()
"""


@needs_sessions
def test_foreign_code_that_does_not_return(tmp_path):
    """Python calls no handler there."""
    began = time.monotonic()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**5)
    rounds = int(20 * 10**5 / (time.monotonic() - began))  # some 20 s
    stuck = STUCK.format(f"hashlib.pbkdf2_hmac('sha256', b'', b'', {rounds})")
    with subprocess.Popen([sys.executable, "-c", stuck]) as process:
        time.sleep(1)
        began = time.monotonic()
        process.terminate()
        assert process.wait(60) == 130
        assert 0.9 < time.monotonic() - began < SECONDS


IGNORED = """
import signal, time
class Last:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.01)
def swallow():
    try:
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.01)
    except:
        pass
def run(*_, **__):
    {}()
    time.sleep(60)
import click, easyseg.cli
click.Command.main = run
easyseg.cli.main()
"""


@pytest.mark.parametrize("where", ["Last", "swallow"])
def test_code_in_which_exceptions_are_swallowed(where):
    script = IGNORED.format(where)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 130
    assert b"Traceback" not in done.stderr


@needs_sessions
@pytest.mark.slow
def test_workers_of_a_killed_server(tmp_path):
    run = Run(tmp_path, "serve", "--port", "0", "--workers", "2")
    try:
        time.sleep(10)
        run.process.kill()
        run.process.wait()
        assert is_gone(run.process.pid, 20)
    finally:
        run.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.process.pid, signal.SIGKILL)


# by name: the words, how long it may take until the signal comes, what is printed when all is done
MOMENTS = {
    "folder": (["segment", "images", "-o", "out/o"], 3, "done in"),
    "video": (["video", "in.mp4", "-o", "out/a.mp4"], 4, "-> out/a.mp4"),
    "background": (["background", "blur", "in.mp4", "-o", "out/a.mp4"], 4, "-> out/a.mp4"),
    "check": (["check", ".", "--sheet", "out/s.png"], 2, "Contact sheet:"),
    "demo": (["demo", "-o", "out/d"], 3, "images in out/d"),
    "serve": (["serve", "--port", "0"], 5, ""),
    "workers": (["serve", "--port", "0", "--workers", "2"], 8, ""),
    "info": (["info", "mini"], 7, None),
    "evaluate": (
        ["evaluate", ".", "--classes", "background,cat", "--json", "out/e.json"],
        8,
        "ignored pixels",
    ),
    "optimize": (["optimize", "--benchmark"], 14, "ms per image"),
    "export": (["export", "-m", "mini", "-o", "out/e.onnx"], 25, "as Keras"),
    "train": (
        ["train", ".", "-o", "out/run", "--epochs", "9", "--batch-size", "2"],
        30,
        "report.html",
    ),
}


@needs_sessions
@pytest.mark.slow
@pytest.mark.parametrize("name", MOMENTS)
def test_any_moment(name, tmp_path):
    """Nothing incomplete is left: it ended in order."""
    words, longest, last = MOMENTS[name]
    make_dataset.folders(tmp_path, 40)
    make_video(tmp_path / "in.mp4", frames=200)
    moments = random.Random(name)
    for _ in range(2):
        run = Run(tmp_path, *words)
        time.sleep(moments.uniform(0.3, longest))
        ended, number = run.process.poll(), moments.choice(SIGNALS)
        if ended is not None:
            run.close()
            assert ended == 0
            continue
        serves = name in ("serve", "workers")  # which first finish what runs
        seconds = 3 * SECONDS if serves else SECONDS
        code, text = run.stop(number, group=number == signal.SIGINT, seconds=seconds)
        if code != 130:  # it came when all had been done
            assert last is not None
            assert last in text
            assert code == 0, text
        paths = [*tmp_path.glob("out/**/*"), *(tmp_path / "temporary").iterdir()]
        assert not [path for path in paths if path.suffix == ".part"]
