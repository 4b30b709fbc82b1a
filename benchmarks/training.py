"""How fast is training, against the same step fed from memory, and against KerasHub's `fit`?

ResNet-50 with DeepLabV3+, the same crop and batch, on CPU, without XLA. The three are timed in
turns in one process, a whole epoch at a time; the ratios are of pairs. Writes
results/training.csv.

    python benchmarks/training.py DATASET  (such as CamVid)
"""

from __future__ import annotations

import sys
import time

import keras_hub
import numpy as np
from _table import compared, write

from easyseg._keras import keras
from easyseg.datasets import open_dataset
from easyseg.models.build import build_model
from easyseg.models.config import ModelConfig
from easyseg.training.augmentation import DEFAULT_STEPS, Augmenter
from easyseg.training.batch_norm import batch_norms, with_frozen
from easyseg.training.data_loader import SampleCache, TrainLoader, stream
from easyseg.training.segmentation_loss import make_loss

CROP, BATCH, BATCHES = 128, 4, 4
ROUNDS, HUB_ROUNDS = 7, 2  # an epoch by KerasHub takes several times as long
CANVAS = (513, 513)


class Memory(keras.utils.PyDataset):
    """Batches that are in memory already."""

    def __init__(self, batches):
        super().__init__()
        self._batches = batches

    def __len__(self):
        return len(self._batches)

    def __getitem__(self, index):
        return self._batches[index]


def ours(classes):
    """DeepLabV3+ on ResNet-50, as `fine_tune` compiles it."""
    network = build_model(ModelConfig("resnet50", num_classes=classes))
    return _compiled(
        with_frozen(network, batch_norms(network)), make_loss("cross_entropy", classes=classes)
    )


def theirs(classes):
    """KerasHub's DeepLabV3+ on ResNet-50, with the head at its defaults."""
    encoder = keras_hub.models.ResNetBackbone(
        image_shape=(CROP, CROP, 3),
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[3, 4, 6, 3],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="bottleneck_block",
    )
    backbone = keras_hub.models.DeepLabV3Backbone(
        image_encoder=encoder,
        spatial_pyramid_pooling_key="P4",
        upsampling_size=4,
        dilation_rates=[6, 12, 18],
        low_level_feature_key="P2",
    )
    model = keras_hub.models.DeepLabV3ImageSegmenter(
        backbone=backbone, num_classes=classes, preprocessor=None
    )
    _compiled(model, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model._compile_metrics = None  # the accuracy that it has by default wants one-hot masks
    return model


def _compiled(model, loss):
    model.compile(keras.optimizers.AdamW(1e-4), loss, jit_compile=False)
    return model


def seconds(model, *data, **options):
    """One epoch."""
    started = time.perf_counter()
    model.fit(*data, shuffle=False, verbose=0, **options)
    return time.perf_counter() - started


def _columns(rows):
    return (list(column) for column in zip(*rows, strict=True))


def main() -> None:
    """Prints a table and writes the CSV."""
    if len(sys.argv) < 2:
        print(__doc__)
        return
    data = open_dataset(sys.argv[1])
    classes = len(data.label_set)
    cache = SampleCache(
        data.split("train")[: BATCH * BATCHES], input_size=CANVAS, cache_bytes=2**30
    )
    loader = TrainLoader(
        cache, Augmenter(DEFAULT_STEPS, crop=(CROP, CROP)), batch_size=BATCH, seed=0
    )
    batches = [loader[i] for i in range(BATCHES)]
    loaded = stream(loader)
    memory = stream(Memory(batches))
    images, masks = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    mine, other = ours(classes), theirs(classes)
    turns = (
        lambda: seconds(mine, loaded),
        lambda: seconds(mine, memory),
        lambda: seconds(other, images / np.float32(255), masks % classes, batch_size=BATCH),
    )
    for turn in turns:
        turn()  # compiles
    ours_s = [[turn() for turn in turns[:2]] for _ in range(ROUNDS)]
    both_s = [[turns[0](), turns[2]()] for _ in range(HUB_ROUNDS)]
    case = {"network": "resnet50", "crop": CROP, "batch": BATCH, "batches": BATCHES}
    rows = [
        {**case, "base": "the same step from memory", **compared(*_columns(ours_s))},
        {**case, "base": "KerasHub's fit", **compared(*_columns(both_s))},
    ]
    write("training", rows)


if __name__ == "__main__":
    main()
