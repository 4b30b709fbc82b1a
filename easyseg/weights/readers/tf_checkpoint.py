"""Reads Google's TensorFlow checkpoints (V2: `model.ckpt-30000.index` and `.data-…`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from easyseg.utils.files import read_file
from easyseg.weights.damage import damaged
from easyseg.weights.readers.checkpoint_index import float_variables
from easyseg.weights.variable_names import Shape, check_shapes

LARGEST_INDEX = 16 << 20  # bytes; those of published networks have 0.1 MB
TRAINING_STATE = ("Momentum", "Adam", "Adam_1", "ExponentialMovingAverage", "global_step")


def read_tf_checkpoint(prefix: Path, shapes: Mapping[str, Shape]) -> dict[str, np.ndarray]:
    """Variables by name, without the state of training (momentum slots, step count).

    Args:
        prefix: Path up to ".index": ".../model.ckpt-30000".
        shapes: Shapes of the model's variables, by checkpoint name.

    Raises:
        WeightsError: The checkpoint is damaged or missing.
        WeightsMismatchError: It has other variables.
    """
    import tensorflow as tf  # noqa: PLC0415  (reads the file; any Keras backend may use it)

    index = prefix.with_name(f"{prefix.name}.index")
    cure = "Download or import the weights again."
    with damaged(index, cure=cure, kind="a TensorFlow checkpoint"):
        declared = {
            name: shape
            for name, shape in float_variables(read_file(index, LARGEST_INDEX)).items()
            if name.rsplit("/", 1)[-1] not in TRAINING_STATE
        }
        check_shapes(declared, shapes, source=prefix.name)
        reader = tf.train.load_checkpoint(str(prefix))
        return {name: reader.get_tensor(name) for name in declared}
