import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from helpers import interrupted_training
from helpers.paths import TESTS
from helpers.square_dataset import paint, start
from helpers.stored_arrays import stored_arrays

from easyseg.errors import TrainingError
from easyseg.training.run_dir import read_state
from easyseg.training.trainer import train
from easyseg.weights.bundle import save_bundle


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return paint(tmp_path_factory.mktemp("data") / "shapes")


@pytest.fixture(scope="module")
def whole(shapes, tmp_path_factory):
    """A run that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    train(interrupted_training.plan(shapes), folder, start=start(), progress=False)
    return folder


def same_end(one, other):
    states = read_state(one), read_state(other)
    rows = [[{**row, "seconds": 0} for row in state.history] for state in states]
    arrays = [
        [*state.model, *state.optimizer, *stored_arrays(folder / "model.weights.h5").values()]
        for state, folder in zip(states, (one, other), strict=True)
    ]
    return rows[0] == rows[1] and all(map(np.array_equal, *arrays))


class StopError(Exception):
    pass


def stop():
    raise StopError


@pytest.mark.slow
@pytest.mark.parametrize(
    ("epoch", "batch", "done"),
    [(2, 1, 2), (0, 2, 0)],
)
def test_a_run_that_goes_on_ends_as_if_it_had_not_stopped(
    shapes, whole, tmp_path, epoch, batch, done
):
    with pytest.raises(StopError):
        train(
            interrupted_training.plan(shapes),
            tmp_path,
            start=start(),
            callbacks=[interrupted_training.Stop(epoch, batch, stop)],
            progress=False,
        )
    state = read_state(tmp_path)
    assert state.epoch == done
    train(interrupted_training.plan(shapes), tmp_path, state=state, progress=False)
    assert same_end(whole, tmp_path)


@pytest.mark.slow
def test_a_run_that_was_killed_ends_as_if_it_had_not_been(shapes, whole, tmp_path):
    command = [
        sys.executable,
        "-m",
        "helpers.interrupted_training",
        str(shapes),
        str(tmp_path),
        "2",
        "1",
    ]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        check=False,
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    state = read_state(tmp_path)
    assert state.epoch == 2
    train(interrupted_training.plan(shapes), tmp_path, state=state, progress=False)
    assert same_end(whole, tmp_path)


@pytest.mark.slow
def test_a_run_that_was_killed_before_its_first_state_begins_again(shapes, tmp_path):
    save_bundle(tmp_path / "start", *start()[:3])
    script = """
import os, sys
from helpers import square_dataset
from easyseg.cli import main
from easyseg.training import fine_tune
if sys.argv.pop(1) == "kill":
    fine_tune.train = lambda *_, **__: os.kill(os.getpid(), 9)
main(["train", *sys.argv[1:]])
"""
    words = [shapes, "-m", tmp_path / "start", "--epochs=1", "--crop=65", "--batch-size=2"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    codes = [
        subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            check=False,
            capture_output=True,
            timeout=300,
        ).returncode
        for arguments in (
            ["kill", *words, "-o", killed],
            ["live", "--resume", killed],
            ["live", *words, "-o", whole],
        )
    ]
    assert codes == [-signal.SIGKILL, 0, 0]
    assert same_end(whole, killed)
    assert {path.name for path in tmp_path.iterdir()} == {"start", "killed", "whole"}


def test_a_damaged_state_is_named(tmp_path):
    (tmp_path / "state.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(TrainingError, match=r"state.npz is damaged .* start a new run from .*last"):
        read_state(tmp_path)
