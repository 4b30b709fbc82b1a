import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from squares import CONFIG, QUICK, paint, start

from easyseg.datasets import open_dataset
from easyseg.training.config import TrainConfig
from easyseg.training.devices import compiler, out_of_memory
from easyseg.training.plan import make_plan
from easyseg.training.records import read_state
from easyseg.training.run import train


def test_xla_is_not_picked():
    assert compiler() is False


def test_how_backends_say_that_memory_is_out():
    import tensorflow as tf

    assert out_of_memory(tf.errors.ResourceExhaustedError(None, None, "OOM"))
    assert out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes."))
    assert out_of_memory(MemoryError())
    assert not out_of_memory(ValueError("memory"))


@pytest.mark.slow
def test_two_devices_learn_what_one_does(tmp_path):
    """With frozen statistics and without dropout, halves have the gradient of the whole batch."""
    shapes = paint(tmp_path / "shapes")
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, str(here / "distributed.py"), str(shapes), str(tmp_path / "two")],
        env={**os.environ, "PYTHONPATH": str(here.parents[1])},
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    choices = {**QUICK, "optimizer": "sgd", "learning_rate": 0.01}
    changes = {"input_size": (65, 65), "dropout": 0.0}
    plan = make_plan(
        open_dataset(shapes), CONFIG, TrainConfig(**choices), same_classes=False, changes=changes
    )
    train(plan, tmp_path / "one", start=start(), progress=False)
    one, two = read_state(tmp_path / "one"), read_state(tmp_path / "two")
    for alone, shared in zip(one.model, two.model, strict=True):
        np.testing.assert_allclose(alone, shared, rtol=1e-2, atol=1e-3)
