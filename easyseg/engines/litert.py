"""The network under LiteRT (TensorFlow Lite) with XNNPACK, which is made for mobile networks."""

from __future__ import annotations

import numpy as np

from easyseg.engines import Run, Setting
from easyseg.engines.folding import fold_batch_norms
from easyseg.engines.freezing import frozen_function
from easyseg.engines.store import kept
from easyseg.engines.threads import thread_count

__all__ = ["start"]


def start(setting: Setting) -> Run:
    """A function from pictures to logits; pictures go through the network one by one."""
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    content = kept(setting.folder, "network.tflite", lambda: _converted(setting))
    interpreter = Interpreter(model_content=content, num_threads=thread_count())
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]

    def one(picture: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(source, np.asarray(picture[None], np.float32))
        interpreter.invoke()
        return interpreter.get_tensor(result)

    return lambda x: np.concatenate([one(picture) for picture in x])


def _converted(setting: Setting) -> bytes:
    import tensorflow as tf  # noqa: PLC0415

    function = frozen_function(fold_batch_norms(setting.network), setting.size, batch=1)
    return tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
