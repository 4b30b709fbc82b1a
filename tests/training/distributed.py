"""A run on two virtual CPUs: `distributed.py SHAPES FOLDER`."""

import sys
from pathlib import Path

import tensorflow as tf

[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import squares  # noqa: E402

from easyseg.datasets import open_dataset  # noqa: E402
from easyseg.training.config import TrainConfig  # noqa: E402
from easyseg.training.plan import make_plan  # noqa: E402
from easyseg.training.run import train  # noqa: E402

if __name__ == "__main__":
    shapes, folder = sys.argv[1:]
    choices = {**squares.QUICK, "distribute": True, "optimizer": "sgd", "learning_rate": 0.01}
    plan = make_plan(
        open_dataset(shapes),
        squares.CONFIG,
        TrainConfig(**choices),
        same_classes=False,
        changes={"input_size": (65, 65), "dropout": 0.0},
    )
    train(plan, Path(folder), start=squares.start(), progress=False)
