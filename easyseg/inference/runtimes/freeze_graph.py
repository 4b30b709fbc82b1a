"""From a network to a TensorFlow graph whose weights are constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from easyseg.inference.runtimes import Run

__all__ = ["INPUT", "OUTPUT", "frozen_function", "frozen_graph", "one_by_one"]

INPUT, OUTPUT = "image", "Identity"


def frozen_function(network: Any, size: tuple[int, int], *, batch: int | None = None) -> Any:
    """The network as a TensorFlow function of `(batch, *size, 3) float32` without variables."""
    import tensorflow as tf  # noqa: PLC0415
    from tensorflow.python.framework.convert_to_constants import (  # noqa: PLC0415
        convert_variables_to_constants_v2,
    )

    function = tf.function(
        lambda image: network(image, training=False),
        input_signature=[tf.TensorSpec((batch, *size, 3), tf.float32, name=INPUT)],
        jit_compile=False,
    )
    return convert_variables_to_constants_v2(function.get_concrete_function())


def frozen_graph(network: Any, size: tuple[int, int], *, batch: int | None = None) -> Any:
    """The same as a `GraphDef` from `INPUT` to `OUTPUT`."""
    graph = frozen_function(network, size, batch=batch).graph.as_graph_def()
    assert {INPUT, OUTPUT} <= {node.name for node in graph.node}  # noqa: S101
    return graph


def one_by_one(run: Run) -> Run:
    """For a runtime that was compiled for one image, which is faster than for any number."""

    def each(images: np.ndarray) -> np.ndarray:
        found = [run(np.asarray(image[None], np.float32)) for image in images]
        return found[0] if len(found) == 1 else np.concatenate(found)

    return each
