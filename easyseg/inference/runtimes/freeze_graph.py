"""From a network to a TensorFlow graph whose weights are constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from easyseg.inference.runtimes import Forward

__all__ = ["INPUT", "OUTPUT", "frozen_function", "frozen_graph", "one_by_one"]

INPUT, OUTPUT = "image", "Identity"


def frozen_function(
    network: Any, input_size: tuple[int, int], *, batch_size: int | None = None
) -> Any:
    """The network as a TensorFlow function of `(N, H, W, 3) float32` without variables.

    Args:
        network: A `keras.Model`.
        input_size: `(H, W)`.
        batch_size: `N`, or `None` for any.
    """
    import tensorflow as tf  # noqa: PLC0415
    from tensorflow.python.framework.convert_to_constants import (  # noqa: PLC0415
        convert_variables_to_constants_v2,
    )

    function = tf.function(
        lambda image: network(image, training=False),
        input_signature=[tf.TensorSpec((batch_size, *input_size, 3), tf.float32, name=INPUT)],
        jit_compile=False,
    )
    return convert_variables_to_constants_v2(function.get_concrete_function())


def frozen_graph(
    network: Any, input_size: tuple[int, int], *, batch_size: int | None = None
) -> Any:
    """The same as a `GraphDef` from `INPUT` to `OUTPUT`."""
    graph = frozen_function(network, input_size, batch_size=batch_size).graph.as_graph_def()
    assert {INPUT, OUTPUT} <= {node.name for node in graph.node}  # noqa: S101
    return graph


def one_by_one(forward: Forward) -> Forward:
    """Runs images one at a time: compiled for one, a runtime is faster than for any number."""

    def each(images: np.ndarray) -> np.ndarray:
        logits = [forward(np.asarray(image[None], np.float32)) for image in images]
        return logits[0] if len(logits) == 1 else np.concatenate(logits)

    return each
