"""The network under LiteRT (TensorFlow Lite) with XNNPACK, which is made for mobile networks."""

from __future__ import annotations

import numpy as np

from easyseg.inference.runtimes import RUNTIMES, Run, RuntimeSpec
from easyseg.inference.runtimes.cache import kept
from easyseg.inference.runtimes.freeze_graph import frozen_function, one_by_one
from easyseg.utils.threads import thread_count

__all__ = ["start"]


def start(setting: RuntimeSpec) -> Run:
    """A function from images to logits."""
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    content = kept(setting.folder, RUNTIMES["litert"].keeps, lambda: _converted(setting))
    interpreter = Interpreter(model_content=content, num_threads=thread_count())
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]

    def one(image: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(source, image)
        interpreter.invoke()
        return interpreter.get_tensor(result)

    return one_by_one(one)


def _converted(setting: RuntimeSpec) -> bytes:
    import tensorflow as tf  # noqa: PLC0415

    from easyseg.inference.runtimes.inference_graph import for_inference  # noqa: PLC0415  (loads Keras)

    function = frozen_function(for_inference(setting.network), setting.size, batch=1)
    return tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
