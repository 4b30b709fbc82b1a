import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.paths import TESTS
from helpers.square_dataset import CONFIG, paint

from easyseg.datasets import open_dataset
from easyseg.datasets.scan import scan_dataset
from easyseg.errors import TrainingError
from easyseg.training.config import TrainConfig
from easyseg.training.distribution import jit_compile, out_of_memory
from easyseg.training.plan import make_plan
from easyseg.training.run_dir import State, read_state
from easyseg.training.trainer import halved, train
from easyseg.training.workers import Workers


def test_xla_is_not_picked():
    assert jit_compile() is False


def test_out_of_memory_errors_of_backends():
    import tensorflow as tf

    assert out_of_memory(tf.errors.ResourceExhaustedError(None, None, "OOM"))
    assert out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes."))
    assert out_of_memory(MemoryError())
    assert not out_of_memory(ValueError("memory"))


def test_half_a_batch_that_devices_cannot_share(monkeypatch):
    state = State(0, 0, 6, 1, [], None, False, [], [], [])
    monkeypatch.setattr(
        "easyseg.training.trainer.device_count", lambda distribute: 4 if distribute == "auto" else 1
    )
    assert halved(state, MemoryError(), TrainConfig()).batch_size == 3
    with pytest.raises(TrainingError, match=r"half of them cannot be divided .* among 4"):
        halved(state, MemoryError(), TrainConfig(distribute="auto"))


def test_workers_cannot_halve_their_batches():
    workers = Workers()
    workers.rank, workers.count = 1, 2
    state = State(0, 0, 6, 1, [], None, False, [], [], [])
    message = r"too small for 3 images on worker 1, .* batch_size=3, accumulate=2, or a smaller"
    with pytest.raises(TrainingError, match=message):
        halved(state, MemoryError(), TrainConfig(), workers=workers)


def test_a_run_is_resumed_only_where_devices_can_share_its_batch(monkeypatch, tmp_path):
    data = open_dataset(paint(tmp_path / "shapes"))
    config = TrainConfig(batch_size=6, distribute="auto")
    plan = make_plan(scan_dataset(data), CONFIG, config, same_classes=True, changes={})
    monkeypatch.setattr("easyseg.training.trainer.device_count", lambda distribute: 4)
    state = State(1, 0, 6, 1, [], None, False, [], [], [])
    with pytest.raises(TrainingError, match=r"mine is trained with batches of 6 .* the 4 devices"):
        train(plan, Path("mine"), state=state)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_learn_what_one_does(tmp_path, backend):
    """Without dropout, halves have the gradient of the whole batch: ignored pixels are unevenly
    spread, and batch norms follow the batches.

    Of three validation images, the last batch has one, less than there are devices.
    """
    pytest.importorskip(backend, reason="needs the jax extra: pip install easyseg[jax]")
    shapes = paint(tmp_path / "shapes", val=3)
    for number in (1, 4):
        path = str(shapes / f"masks/train/{number}.png")
        mask = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        mask[:55] = 255
        cv2.imwrite(path, mask)
    paths = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    for count in (1, 2):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "helpers.two_device_training",
                shapes,
                tmp_path / f"{count}",
                f"{count}",
            ],
            env={**os.environ, "PYTHONPATH": paths, "KERAS_BACKEND": backend},
            check=False,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    one, two = read_state(tmp_path / "1"), read_state(tmp_path / "2")
    for alone, shared in zip(one.model, two.model, strict=True):
        np.testing.assert_allclose(alone, shared, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(one.history, two.history, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
        assert ours["val_loss"] == pytest.approx(theirs["val_loss"], rel=1e-4)
