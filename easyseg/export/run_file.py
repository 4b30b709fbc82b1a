"""Runs an exported file in its own runtime, in a process without TensorFlow where it is not that.

python -m easyseg.export.run_file FORMAT FILE INPUTS.npz OUTPUTS.npz
"""

from __future__ import annotations

import base64
import gzip
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

CALLS = 3


def _open_onnx(path: str) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    from easyseg.inference.runtimes.onnxruntime import load_onnxruntime  # noqa: PLC0415

    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")  # as easyseg runs it
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda image: dict(zip(names, session.run(names, {"image": image}), strict=True))


def _open_openvino(path: str) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    import openvino  # noqa: PLC0415

    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(f"{path}/model.xml", "CPU", hint)
    names = [output.get_any_name() for output in compiled.outputs]

    def run(image: np.ndarray) -> dict[str, np.ndarray]:
        results = dict(zip(names, compiled(image).values(), strict=True))
        if "probabilities" in results:  # (N, classes, H, W)
            results["probabilities"] = results["probabilities"].transpose(0, 2, 3, 1)
        return results

    return run


def _open_tflite(path: str) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    interpreter = Interpreter(model_path=path)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    outputs = {
        name: output["index"]
        for output in interpreter.get_output_details()
        for name in output["name"].split()  # two where they are one tensor
    }

    def run(image: np.ndarray) -> dict[str, np.ndarray]:
        interpreter.set_tensor(source["index"], image)
        interpreter.invoke()
        return {name: interpreter.get_tensor(index) for name, index in outputs.items()}

    return run


def _open_saved_model(path: str) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    import tensorflow as tf  # noqa: PLC0415

    run = tf.saved_model.load(path).signatures["serving_default"]
    return lambda image: {name: value.numpy() for name, value in run(image=image).items()}


def _open_keras(path: str) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    from easyseg._keras import keras  # noqa: PLC0415

    model = keras.saving.load_model(path, safe_mode=True)

    def run(image: np.ndarray) -> dict[str, np.ndarray]:
        given = model(image, training=False)
        given = given if isinstance(given, dict) else {model.name: given}
        return {name: keras.ops.convert_to_numpy(value) for name, value in given.items()}

    return run


def _open_web(path: str) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """The page's network, without a browser."""
    from easyseg.inference.runtimes.onnxruntime import load_onnxruntime  # noqa: PLC0415

    text = Path(path, "network.js").read_text("ascii").split('"')[3]
    session = load_onnxruntime().InferenceSession(gzip.decompress(base64.b64decode(text)))
    return lambda image: {"logits": session.run(["logits"], {"image": image.astype(np.float32)})[0]}


OPEN = {  # and the package that runs the file
    "onnx": (_open_onnx, "onnxruntime"),
    "openvino": (_open_openvino, "openvino"),
    "tflite": (_open_tflite, "ai-edge-litert"),
    "saved_model": (_open_saved_model, "tensorflow"),
    "keras": (_open_keras, "keras"),
    "web": (_open_web, "onnxruntime"),
}
NEED_TENSORFLOW = ("saved_model", "keras")


def main(file_format: str, path: str, inputs: str, outputs: str) -> None:
    """Writes what the file gives for each array, `<name>/<output>`, and its milliseconds."""
    open_file, package = OPEN[file_format]
    run = open_file(path)
    results: dict[str, Any] = {}
    with np.load(inputs) as images:
        for name in images.files:
            results |= {f"{name}/{key}": value for key, value in run(images[name]).items()}
        first = images[images.files[0]]
    seconds = []
    for _ in range(CALLS):
        started = time.perf_counter()
        run(first)
        seconds.append(time.perf_counter() - started)
    assert file_format in NEED_TENSORFLOW or "tensorflow" not in sys.modules  # noqa: S101
    results["milliseconds"] = 1000 * statistics.median(seconds)
    results["runtime"] = f"{package} {metadata.version(package)}"
    np.savez(outputs, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
