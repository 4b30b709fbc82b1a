"""A run on one or two virtual CPUs: `two_device_training SHAPES RUN_DIR DEVICES`."""

import os
import sys
from pathlib import Path

if os.environ.get("KERAS_BACKEND") == "jax":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
else:
    import tensorflow as tf

    [cpu] = tf.config.list_physical_devices("CPU")
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)

from easyseg.datasets import open_dataset
from easyseg.datasets.scan import scan_dataset
from easyseg.training.config import TrainConfig
from easyseg.training.plan import make_plan
from easyseg.training.trainer import train
from helpers import square_dataset

if __name__ == "__main__":
    shapes, folder, count = sys.argv[1:]
    choices = {**square_dataset.QUICK, "optimizer": "sgd", "learning_rate": 0.01}
    choices |= {"distribute": "auto" if count == "2" else "none", "batch_norm": "trained"}
    choices |= {"loss": "cross_entropy+dice+boundary", "class_weights": "auto", "clipnorm": 0.5}
    plan = make_plan(
        scan_dataset(open_dataset(shapes)),
        square_dataset.CONFIG,
        TrainConfig(**choices),
        same_classes=False,
        changes={"input_size": (65, 65), "dropout": 0.0},
    )
    train(plan, Path(folder), start=square_dataset.start(), progress=False)
