"""Loads the weights of a network from a file, in any of the known formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.utils.registry import Registry
from easyseg.weights.bundle import read_bundle_weights
from easyseg.weights.readers.frozen_graph import read_frozen_graph
from easyseg.weights.readers.keras2_h5 import read_keras2_h5
from easyseg.weights.readers.tf_checkpoint import read_tf_checkpoint
from easyseg.weights.variable_names import assign, named_variables

__all__ = ["FILE_FORMATS", "load_weights"]

Reader = Callable[[Path, list[str]], dict[str, np.ndarray]]
"""From `(path, names of the model's variables)` to the file's variables by checkpoint name."""

FILE_FORMATS: Registry[Reader] = Registry("weight file format")
FILE_FORMATS.register("tf_checkpoint")(lambda path, _: read_tf_checkpoint(path))
FILE_FORMATS.register("keras2_h5")(read_keras2_h5)
FILE_FORMATS.register("frozen_graph")(read_frozen_graph)
FILE_FORMATS.register("bundle")(lambda path, _: read_bundle_weights(path))


def load_weights(model: Any, path: Path, file_format: str) -> None:
    """Loads the value of every variable of the model from a file, or changes nothing.

    Args:
        model: A network of `build_model`.
        path: Checkpoint prefix or file.
        file_format: "tf_checkpoint", "keras2_h5", "frozen_graph", "bundle", or another registered
            one.

    Raises:
        WeightsError: The file is damaged.
        WeightsMismatchError: The file's variables are not the model's, by name and shape.
    """
    arrays = FILE_FORMATS[file_format](path, list(named_variables(model)))
    assign(model, arrays, source=path.name)
