"""The network in LiteRT (TensorFlow Lite) with XNNPACK, made for mobile networks."""

from __future__ import annotations

import numpy as np

from easyseg.inference.runtimes import RUNTIMES, Forward, RuntimeSpec
from easyseg.inference.runtimes.cache import read_or_create
from easyseg.inference.runtimes.freeze_graph import frozen_function, one_by_one
from easyseg.utils.threads import thread_count

__all__ = ["start"]


def start(spec: RuntimeSpec) -> Forward:
    """Converts the network, or reads the converted file; returns images -> logits."""
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    content = read_or_create(spec.folder, RUNTIMES["litert"].saved_file, lambda: _convert(spec))
    interpreter = Interpreter(model_content=content, num_threads=thread_count())
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]

    def one(image: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(source, image)
        interpreter.invoke()
        return interpreter.get_tensor(result)

    return one_by_one(one)


def _convert(spec: RuntimeSpec) -> bytes:
    import tensorflow as tf  # noqa: PLC0415

    from easyseg.inference.runtimes.inference_graph import inference_network  # noqa: PLC0415  (loads Keras)

    function = frozen_function(inference_network(spec.network), spec.input_size, batch_size=1)
    return tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
