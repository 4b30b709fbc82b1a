"""Loads the weights of a network from a file, in any of the known formats."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.utils.registry import Registry
from easyseg.weights.readers.frozen_graph import read_frozen_graph
from easyseg.weights.readers.hdf5 import read_hdf5
from easyseg.weights.readers.keras2_h5 import read_keras2_h5
from easyseg.weights.readers.tf_checkpoint import read_tf_checkpoint
from easyseg.weights.variable_names import Shape, assign, named_variables

__all__ = ["FILE_FORMATS", "load_weights"]

Reader = Callable[[Path, Mapping[str, Shape]], dict[str, np.ndarray]]
"""From `(path, shapes of the model's variables by checkpoint name)` to the file's variables.

Files may declare arrays of any size: a reader compares names and shapes (`check_shapes`) before it
reads values.
"""

FILE_FORMATS: Registry[Reader] = Registry("weight file format")
FILE_FORMATS.register("tf_checkpoint")(read_tf_checkpoint)
FILE_FORMATS.register("keras2_h5")(read_keras2_h5)
FILE_FORMATS.register("frozen_graph")(read_frozen_graph)
FILE_FORMATS.register("bundle")(functools.partial(read_hdf5, cure="Save the model again."))


def load_weights(model: Any, path: Path, file_format: str) -> None:
    """Loads the value of every variable of the model from a file, or changes nothing.

    Args:
        model: A network of `build_model`.
        path: Checkpoint prefix or file.
        file_format: "tf_checkpoint", "keras2_h5", "frozen_graph", "bundle", or another registered
            one.

    Raises:
        WeightsError: The file is damaged, or has values that are NaN or infinite.
        WeightsMismatchError: The file's variables are not the model's, by name and shape.
    """
    shapes = {name: tuple(variable.shape) for name, variable in named_variables(model).items()}
    arrays = FILE_FORMATS[file_format](path, shapes)
    assign(model, arrays, source=path.name)
