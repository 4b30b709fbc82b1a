"""An ONNX file in ONNX Runtime."""

from __future__ import annotations

import numpy as np

from easyseg.inference.runtimes import Forward, RuntimeSpec
from easyseg.utils.threads import thread_count
from easyseg.weights.exported import onnx_for_logits

__all__ = ["start"]


def start(spec: RuntimeSpec) -> Forward:
    """Opens the file for images of one size, one at a time; returns images -> logits."""
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count()
    # threads that spin after an image take the cores from reading and writing
    options.add_session_config_entry("session.force_spinning_stop", "1")
    for name, length in zip("NHW", (1, *spec.input_size), strict=True):  # of a dynamic file
        options.add_free_dimension_override_by_name(name, length)
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        onnx_for_logits(spec.path.read_bytes()), options, providers=["CPUExecutionProvider"]
    )
    run = onnxruntime.RunOptions()
    run.only_execute_path_to_fetches = True  # not the labels

    def one_by_one(images: np.ndarray) -> np.ndarray:
        """Compiled for one image, a runtime is faster than for any number."""
        logits = [
            session.run(["logits"], {"image": np.asarray(image[None], np.float32)}, run)[0]
            for image in images
        ]
        return logits[0] if len(logits) == 1 else np.concatenate(logits)

    return one_by_one
