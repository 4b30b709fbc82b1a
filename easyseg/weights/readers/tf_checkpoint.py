"""Reads Google's TensorFlow checkpoints (V2: `model.ckpt-30000.index` and `.data-…`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from easyseg.errors import WeightsError

__all__ = ["read_tf_checkpoint"]

TRAINING_STATE = ("Momentum", "Adam", "Adam_1", "ExponentialMovingAverage", "global_step")


def read_tf_checkpoint(prefix: Path) -> dict[str, np.ndarray]:
    """Variables by name, without the state of training (momentum slots, step count).

    Args:
        prefix: Path up to ".index": ".../model.ckpt-30000".

    Raises:
        WeightsError: The checkpoint is damaged or missing.
    """
    import tensorflow as tf  # noqa: PLC0415  (reads the file; any Keras backend may use it)

    try:
        reader = tf.train.load_checkpoint(str(prefix))
        names = [
            name
            for name in sorted(reader.get_variable_to_shape_map())
            if name.rsplit("/", 1)[-1] not in TRAINING_STATE
        ]
        return {name: reader.get_tensor(name) for name in names}
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{prefix}.index cannot be read as a TensorFlow checkpoint "
            f"({str(error).splitlines()[0]}). Download or import the weights again."
        ) from error
