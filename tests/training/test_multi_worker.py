"""Two processes that train together, started by `easyseg launch` and `easyseg train --workers`."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.paths import TESTS
from helpers.square_dataset import paint, start

from easyseg import SemanticSegmentation
from easyseg.training.run_dir import read_state
from easyseg.weights.bundle import save_bundle

pytestmark = pytest.mark.slow

SITE = """
import sys
if "--rank" in sys.orig_argv:  # a worker, not the launcher
    import helpers.square_dataset  # registers its backbone
"""
COMMON = {
    "crop": 65,
    "freeze_backbone_epochs": 0,
    "optimizer": "sgd",
    "loss": "cross_entropy+dice+boundary",
    "class_weights": "auto",
    "batch_size": 4,
}
# 2 updates in each of 10 epochs, with all that has a state
LONG = {**COMMON, "epochs": 10, "learning_rate": 0.01, "ema": 0.9, "clipnorm": 1.0}
STARTED = []
# one update, after which the momentum is the gradient
ONE = {
    **COMMON,
    "loss": "cross_entropy",
    "epochs": 1,
    "batch_size": 8,
    "learning_rate": 1.0,
    "schedule": "constant",
    "warmup_epochs": 0,
    "weight_decay": 0.0,
    "batch_norm": "frozen",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images, of which some are nearly all ignored; a model; what a worker imports at its start."""
    root = tmp_path_factory.mktemp("several")
    paint(root / "shapes", train=8, val=2)
    for number in (0, 2, 3, 5):
        path = root / f"shapes/masks/train/{number}.png"
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        mask[: 60 - 4 * number] = 255
        cv2.imwrite(str(path), mask)
    save_bundle(root / "start", *start(dropout=0.0)[:3])
    (root / "site").mkdir()
    (root / "site/sitecustomize.py").write_text(SITE)
    return root


def words(options):
    return [
        f"--{name.replace('_', '-')}={'none' if value == [] else value}"
        for name, value in {"augment": "flip", **options}.items()
    ]


@pytest.fixture(autouse=True)
def _nothing_goes_on():
    """Ends what a test that failed has left."""
    yield
    for process in STARTED:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=30)
    STARTED.clear()


def begin(folder, *arguments):
    """An easyseg command that runs in the folder."""
    paths = os.pathsep.join([str(folder / "site"), str(TESTS), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", "easyseg", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "EASYSEG_WORKERS_WAIT": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    STARTED.append(process)
    return process


def end(process):
    """Its exit code, and the last line of its messages."""
    out, err = process.communicate(timeout=300)
    assert "Traceback" not in err, err[-5000:]
    return process.returncode, (err.splitlines() or [""])[-1], out


def launch(folder, run, options):
    return begin(
        folder, "launch", "-n2", "--", "train", "shapes", "-m", "start", "-o", run, *words(options)
    )


def alone(folder, run, options):
    """The same run by this process."""
    seg = SemanticSegmentation(folder / "start")
    data = folder / "shapes"
    seg.fine_tune(data, run_dir=folder / run, progress=False, augment=["flip"], **options)
    return read_state(folder / run)


def children(process):
    """The processes that a process has started: rank and process id."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if path.read_text().rpartition(")")[2].split()[1] == str(process.pid):
                line = (path.parent / "cmdline").read_bytes().split(b"\0")
                found[int(line[line.index(b"--rank") + 1])] = int(path.parent.name)
    return found


@pytest.fixture(scope="module")
def two(folder):
    """A run of two processes that nothing disturbs."""
    code, last, out = end(launch(folder, "two", LONG))
    assert code == 0, last
    assert "[0] -> two/report.html" in out
    assert "[1]" not in out
    return read_state(folder / "two")


def difference(one, other):
    return max(np.abs(a.astype("f8") - b).max() for a, b in zip(one, other, strict=True))


def test_the_gradient_is_that_of_the_whole_batch(folder):
    code, last, _ = end(launch(folder, "gradient-two", ONE))
    assert code == 0, last
    one, two = alone(folder, "gradient-one", ONE), read_state(folder / "gradient-two")
    gradient = difference(
        read_weights(folder / "start"), read_weights(folder / "gradient-one/last")
    )
    assert gradient > 1e-3
    whole, parts = (np.concatenate([m.ravel() for m in s.optimizer[1:]]) for s in (one, two))
    error = np.linalg.norm(whole.astype("f8") - parts) / np.linalg.norm(whole)
    assert error < 1e-6  # of the length of the gradient
    assert one.history[0]["loss"] == pytest.approx(two.history[0]["loss"], rel=1e-6)


def read_weights(path):
    """Those of the backbone, which the data set's classes do not change."""
    layers = SemanticSegmentation(path).model.layers
    return [w.numpy() for layer in layers if layer.name.startswith("tiny") for w in layer.weights]


def test_twenty_updates(folder, two):
    one = alone(folder, "one", LONG)
    assert len(one.history) == 10
    assert difference(one.model, two.model) < 1e-5
    assert difference(one.optimizer, two.optimizer) < 1e-5
    for ours, theirs in zip(one.history, two.history, strict=True):
        assert ours["val_loss"] == pytest.approx(theirs["val_loss"], rel=1e-5)


@pytest.mark.parametrize("rank", [1])
def test_a_killed_worker(folder, two, rank):
    """All end soon, with one clear error; resumed, the run ends as if nothing had happened."""
    process = launch(folder, "killed", LONG)
    results = folder / "killed/results.csv"
    deadline = time.monotonic() + 200
    while not results.exists() or len(results.read_text().splitlines()) < 4:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    pids = children(process)
    os.kill(pids[rank], signal.SIGKILL)
    killed = time.monotonic()
    code, last, _ = end(process)
    assert time.monotonic() - killed < 25
    assert code == 128 + signal.SIGKILL
    assert last == f"easyseg: worker {rank} was ended by SIGKILL; resume the run with --resume."
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids.values())
    assert not read_state(folder / "killed").ended

    again = begin(folder, "launch", "-n2", "--", "train", "--resume", "killed")
    code, last, _ = end(again)
    assert code == 0, last
    state = read_state(folder / "killed")
    assert state.ended
    for ours, theirs in zip(
        (two.model, two.optimizer), (state.model, state.optimizer), strict=True
    ):
        assert all(map(np.array_equal, ours, theirs))


def test_each_worker_says_what_differs_and_who_is_lost(folder):
    """Two commands, as on two machines: other options, then a process that is killed."""
    servers = [socket.create_server(("", 0)) for _ in range(2)]
    addresses = ",".join(f"localhost:{server.getsockname()[1]}" for server in servers)
    for server in servers:
        server.close()

    def worker(rank, **changes):
        options = words({**LONG, **changes, "epochs": 1000})
        at = ["--workers", addresses, "--rank", rank]
        return begin(folder, "train", "shapes", "-m", "start", "-o", "differs", *at, *options)

    ends = [end(process) for process in (worker(0), worker(1, learning_rate=0.5, seed=3))]
    for code, last, _ in ends:
        assert code == 2
        assert re.fullmatch(
            r"easyseg: worker 1 \(localhost:\d+\) differs from worker 0 in learning_rate, seed; "
            r"start all workers with the same options, the same data and the same model\.",
            last,
        )
    assert not (folder / "differs").exists()

    chief, other = worker(0), worker(1)
    deadline = time.monotonic() + 200
    while not (folder / "differs/results.csv").exists():
        assert chief.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    chief.send_signal(signal.SIGINT)
    code, last, _ = end(chief)
    assert code == 130
    assert last == (
        "easyseg: stopped. To resume: each worker again, with easyseg train --resume differs"
    )
    code, last, _ = end(other)
    assert code == 2
    assert last.startswith("easyseg: worker 1 (localhost:")
    assert "lost the connection to another worker" in last
    assert last.endswith(
        "Resume the run with all workers: it continues after its last whole epoch."
    )


def test_ctrl_c_stops_all(folder):
    process = launch(folder, "stopped", {**LONG, "epochs": 1000})
    while not (folder / "stopped/results.csv").exists():
        assert process.poll() is None
        time.sleep(0.05)
    pids = children(process)
    assert set(pids) == {0, 1}
    process.send_signal(signal.SIGTERM)
    code, last, _ = end(process)
    assert code == 130
    assert last == ("easyseg: stopped. To resume: easyseg launch -n 2 -- train --resume stopped")
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids.values())
