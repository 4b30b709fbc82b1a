"""Reads Google's frozen graphs (`frozen_inference_graph.pb`), whose constants are the variables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from easyseg.errors import WeightsError

__all__ = ["read_frozen_graph"]


def read_frozen_graph(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The graph's constants with these names; the others are sizes and axes.

    Args:
        path: The .pb file.
        names: Checkpoint names of the model's variables.

    Raises:
        WeightsError: Not a graph written by TensorFlow.
    """
    import tensorflow as tf  # noqa: PLC0415  (its classes read the file)
    from google.protobuf.message import DecodeError  # noqa: PLC0415  (TensorFlow's own)

    try:
        graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise WeightsError(
            f"{path} cannot be read as a frozen graph of TensorFlow ({error}). Download it again."
        ) from error
    variables = set(names)
    return {
        node.name: tf.make_ndarray(node.attr["value"].tensor)
        for node in graph.node
        if node.op == "Const" and node.name in variables
    }
