"""A network that trains in seconds, and images from which it learns; also for other processes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from easyseg.models.backbones.base import Features
from easyseg.models.backbones.normalization import preprocess
from easyseg.models.backbones.registry import BACKBONES
from easyseg.models.build import build_model
from easyseg.models.config import ModelConfig
from easyseg.models.layers.conv import conv_bn
from easyseg.models.layers.norm import BatchNorm
from easyseg.results.label_set import LabelSet
from easyseg.weights.loader import LoadedModel

COLORS = {"ground": (90, 90, 90), "red": (220, 30, 30), "green": (30, 220, 30)}

# batches and epochs that a test can afford
QUICK = {"epochs": 2, "batch_size": 2, "crop": 65, "augment": ["flip"], "freeze_backbone_epochs": 0}


def tiny(x, config):
    norm = BatchNorm(epsilon=1e-3, momentum=0.9)
    x = preprocess(x, "tf")
    low = conv_bn(x, 8, 3, name="tiny1", norm=norm, stride=2)
    low = conv_bn(low, 8, 3, name="tiny2", norm=norm, stride=2)
    high = conv_bn(low, 16, 3, name="tiny3", norm=norm, stride=2)
    return Features({4: low}, conv_bn(high, 16, 3, name="tiny4", norm=norm, stride=2))


if "squares" not in BACKBONES:
    BACKBONES.register("squares")(tiny)

CONFIG = ModelConfig(
    "squares",
    num_classes=2,
    aspp_rates=(),
    decoder="deeplabv3plus",
    head_channels=16,
    low_level_channels=8,
    decoder_separable=False,
    dropout=0.5,
    input_size=(65, 65),
)


def start(**changes) -> LoadedModel:
    """A network that was never trained, of two classes."""
    from easyseg._keras import keras

    keras.utils.set_random_seed(7)
    config = CONFIG.replace(**changes)
    labels = LabelSet("start", ("ground", "blue"), ((0, 0, 0), (0, 0, 255)))
    return LoadedModel(build_model(config), config, labels)


def paint(folder: Path, *, train: int = 6, val: int = 2, size: int = 64) -> Path:
    """A data set of red and green squares, in images/{train,val} and masks/{train,val}."""
    rng = np.random.default_rng(3)
    for split, count in (("train", train), ("val", val)):
        for i in range(count):
            mask = np.zeros((size, size), np.uint8)
            for class_id in (1, 2):
                top, left = rng.integers(0, size // 2, 2)
                mask[top : top + size // 3, left : left + size // 3] = class_id
            image = np.array(list(COLORS.values()), np.int16)[mask]
            image = np.clip(image + rng.normal(0, 20, image.shape), 0, 255).astype(np.uint8)
            for kind, array in (("images", image[..., ::-1]), ("masks", mask)):
                path = folder / kind / split / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), array)
    return folder
