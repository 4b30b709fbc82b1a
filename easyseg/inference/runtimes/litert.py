"""A TFLite file that gives logits in LiteRT with XNNPACK, made for phones and boards."""

from __future__ import annotations

import numpy as np

from easyseg.inference.runtimes import AUTO, Forward, RuntimeSpec, one_by_one
from easyseg.inference.runtimes.devices import CPU, pick
from easyseg.utils.threads import thread_count


def devices() -> dict[str, str]:
    """The processor alone."""
    return {CPU: CPU}


def start(spec: RuntimeSpec) -> Forward:
    """Opens the file; returns images -> logits. Pixels are rounded to whole numbers."""
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    if spec.device != AUTO:
        pick("litert", spec.device, devices())
    interpreter = Interpreter(model_path=str(spec.path), num_threads=thread_count())
    interpreter.allocate_tensors()
    (image,), (logits,) = interpreter.get_input_details(), interpreter.get_output_details()

    def one(pixels: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(image["index"], np.rint(pixels).astype(np.uint8))
        interpreter.invoke()
        return interpreter.get_tensor(logits["index"])

    return one_by_one(one)
