"""Reads Google's frozen graphs (`frozen_inference_graph.pb`), whose constants are the variables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from easyseg.errors import WeightsError
from easyseg.weights.damage import damaged
from easyseg.weights.variable_names import Shape, check_shapes

OPERATIONS = 1 << 24  # bytes of a graph beside its variables, at most


def read_frozen_graph(path: Path, shapes: Mapping[str, Shape]) -> dict[str, np.ndarray]:
    """The graph's constants with the names of variables; the others are sizes and axes.

    Args:
        path: The .pb file.
        shapes: Shapes of the model's variables, by checkpoint name.

    Raises:
        WeightsError: Not a graph written by TensorFlow, or one of a larger network.
        WeightsMismatchError: It has other variables.
    """
    import tensorflow as tf  # noqa: PLC0415  (its classes read the file)

    cure = "Download it again."
    with damaged(path, cure=cure, kind="a frozen graph of TensorFlow"):
        if path.stat().st_size > 8 * sum(map(math.prod, shapes.values())) + OPERATIONS:
            raise WeightsError(f"{path} is larger than a graph of this network can be. {cure}")
        graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
        constants = {
            node.name: node.attr["value"].tensor
            for node in graph.node
            if node.op == "Const" and node.name in shapes
        }
        declared = {
            name: tuple(side.size for side in tensor.tensor_shape.dim)
            for name, tensor in constants.items()
        }
        check_shapes(declared, shapes, source=path.name)
        return {name: tf.make_ndarray(tensor) for name, tensor in constants.items()}
