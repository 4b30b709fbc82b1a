"""A run in a process that kills itself: `interrupted_training SHAPES RUN_DIR EPOCH BATCH`."""

import os
import signal
import sys
from pathlib import Path

from easyseg._keras import keras
from easyseg.datasets import open_dataset
from easyseg.datasets.scan import scan_dataset
from easyseg.training.config import TrainConfig
from easyseg.training.plan import make_plan
from easyseg.training.trainer import train
from helpers import square_dataset

# all that has a state: dropout, momentum, running mean, accumulated gradients, two phases
CHOICES = {
    **square_dataset.QUICK,
    "augment": ["scale", "flip", "brightness"],
    "epochs": 4,
    "freeze_backbone_epochs": 1,
    "ema": 0.9,
    "accumulate": 2,
    "learning_rate": 0.01,
}


class Stop(keras.callbacks.Callback):
    """Ends the process in the middle of an epoch."""

    def __init__(self, epoch, batch, how):
        super().__init__()
        self.at, self.how, self.epoch = (epoch, batch), how, None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            self.how()


def plan(shapes):
    data, config = open_dataset(shapes), TrainConfig(**CHOICES)
    changes = {"input_size": (65, 65)}
    return make_plan(
        scan_dataset(data), square_dataset.CONFIG, config, same_classes=False, changes=changes
    )


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    shapes, folder, epoch, batch = sys.argv[1:]
    stop = Stop(int(epoch), int(batch), kill)
    train(
        plan(shapes), Path(folder), start=square_dataset.start(), callbacks=[stop], progress=False
    )
