"""How long does each runtime take for an image, against Keras and the runtimes without easyseg?

    python benchmarks/runtimes.py [xception65|mobilenetv2 ...]

Random weights with batch norms of one image of noise, 513x513, one image, timed in turns in one
process; a turn is a call that is not timed and then `CALLS` that are; ratios are of the same
round. "... alone" is a runtime without easyseg: the Keras network converted and called as its
manual says, for a fixed size. `bound_ms` is the time of the network's multiply-adds at the rate
of a large float32 matrix product, measured in the same rounds. Writes results/runtimes.csv.
"""

from __future__ import annotations

import functools
import statistics
import sys
import tempfile
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from _table import compared, write

from easyseg import ModelConfig, build_model
from easyseg.inference.runtimes import RUNTIMES, Forward, RuntimeSpec, installed
from easyseg.inference.runtimes.freeze_graph import frozen_function
from easyseg.inference.runtimes.start import start_runtime
from easyseg.models.build import logits_model
from easyseg.models.summary import count
from easyseg.utils.threads import thread_count

NETWORKS = {
    "xception65": ModelConfig(num_classes=151),
    "mobilenetv2": ModelConfig(backbone="mobilenetv2", aspp_rates=(), decoder="none"),
}
SIZE = (513, 513)
ROUNDS = 9
CALLS = 3
PAUSE = 0.06  # seconds in which the threads of the previous runtime go to sleep
SIDE = 2048  # of the matrices


def network(config: ModelConfig, image: np.ndarray) -> Any:
    """A network whose batch norms fit the image, so that no feature vanishes."""
    keras.utils.set_random_seed(0)
    model = logits_model(build_model(config))
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    model(image, training=True)
    return model


def frozen(model: Any) -> Any:
    """The network as it is, as a TensorFlow graph with constants."""
    return frozen_function(model, SIZE, batch_size=1)


def openvino_alone(model: Any, *, hint: str = "f32") -> Forward:
    """OpenVINO with its own settings."""
    import openvino  # noqa: PLC0415

    with tempfile.NamedTemporaryFile(suffix=".pb") as file:
        file.write(frozen(model).graph.as_graph_def().SerializeToString())
        file.flush()
        read = openvino.Core().read_model(file.name)
    compiled = openvino.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": hint})
    return lambda image: compiled(image)[0]


def onnxruntime_alone(model: Any) -> Forward:
    """ONNX Runtime with its own settings."""
    import onnxruntime  # noqa: PLC0415
    import tf2onnx  # noqa: PLC0415

    converted, _ = tf2onnx.convert.from_graph_def(
        frozen(model).graph.as_graph_def(), input_names=["image:0"], output_names=["Identity:0"]
    )
    session = onnxruntime.InferenceSession(converted.SerializeToString())
    return lambda image: session.run(None, {"image:0": image})[0]


def litert_alone(model: Any) -> Forward:
    """LiteRT with a thread for each core."""
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    content = tf.lite.TFLiteConverter.from_concrete_functions([frozen(model)]).convert()
    interpreter = Interpreter(model_content=content, num_threads=thread_count())
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(image: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(source["index"], image)
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return run


ALONE = {
    ("openvino alone", "float32"): openvino_alone,
    ("openvino alone", "bfloat16"): functools.partial(openvino_alone, hint="bf16"),
    ("onnxruntime alone", "float32"): onnxruntime_alone,
    ("litert alone", "float32"): litert_alone,
}


def rows_of(name: str) -> list[dict[str, object]]:
    """A row for each runtime and precision."""
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (1, *SIZE, 3)).astype(np.float32)
    model = network(NETWORKS[name], image)
    work = count(model, SIZE).multiply_adds
    calibration = tuple(random.integers(0, 256, (4, *SIZE, 3)).astype(np.float32))
    runs = {}
    for runtime, entry in RUNTIMES.items():
        for precision in entry.precisions if model.count_params() <= entry.max_parameters else ():
            images = calibration if precision == "int8" else ()
            run = start_runtime(runtime, RuntimeSpec(model, SIZE, precision, None, images))
            if run is not None:
                runs[runtime, precision] = run
    for (runtime, precision), make in ALONE.items():
        entry = RUNTIMES[runtime.split()[0]]
        if model.count_params() <= entry.max_parameters and installed(runtime.split()[0]):
            runs[runtime, precision] = make(model)
    matrix = tf.constant(random.normal(size=(SIDE, SIDE)), tf.float32)
    spent: dict[Any, list[float]] = {key: [] for key in runs}
    products = []
    for _ in range(ROUNDS):
        for key, run in runs.items():
            time.sleep(PAUSE)
            run(image)
            started = time.perf_counter()
            for _ in range(CALLS):
                run(image)
            spent[key].append((time.perf_counter() - started) / CALLS)
        time.sleep(PAUSE)
        started = time.perf_counter()
        tf.linalg.matmul(matrix, matrix).numpy()
        products.append((time.perf_counter() - started) / SIDE**3)
    bound = 1000 * work * statistics.median(products)
    rows = []
    for key, seconds in spent.items():
        row: dict[str, object] = {"network": name, "runtime": key[0], "precision": key[1]}
        row |= compared(seconds, spent["keras", "float32"])
        for peer, precision in ALONE:
            reference = spent.get((peer, precision))
            column = f"to_{peer.split()[0]}" + "_bfloat16" * (precision == "bfloat16")
            row[column] = compared(seconds, reference)["ratio"] if reference else ""
        row["gmacs"], row["bound_ms"] = round(work / 1e9, 1), round(bound, 1)
        rows.append(row)
    return rows


def main() -> None:
    """Prints the table and writes it as CSV."""
    names = sys.argv[1:] or list(NETWORKS)
    write("runtimes", [row for name in names for row in rows_of(name)])


if __name__ == "__main__":
    main()
