"""How long does each engine take for one photo, against plain Keras and against OpenVINO float32?

    python benchmarks/engines.py [xception65|mobilenetv2 ...]

Random weights whose batch norms fit one picture of noise, 513x513, one photo, all engines timed in
turns in one process; ratios are of the same round. `bound_ms` is the time of the network's
multiply-adds at the rate of a large float32 matrix product, measured in the same rounds. Writes
results/engines.csv. Equality is tested in tests/contract/test_engines.py.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from _table import compared, write

from easyseg import ModelConfig, build_model
from easyseg.engines import ENGINES, Setting
from easyseg.engines.running import _started
from easyseg.models.build import logits_model
from easyseg.models.inspect import count

NETWORKS = {
    "xception65": ModelConfig(classes=151),
    "mobilenetv2": ModelConfig(backbone="mobilenetv2", aspp_rates=(), decoder="none"),
}
SIZE = (513, 513)
ROUNDS = 7
PAUSE = 0.06  # seconds in which the threads of the engine before come to rest
SIDE = 2048  # of the matrices


def network(config: ModelConfig, picture: np.ndarray) -> Any:
    """A network in which no signal dies out."""
    keras.utils.set_random_seed(0)
    model = logits_model(build_model(config))
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    model(picture, training=True)
    return model


def rows_of(name: str) -> list[dict[str, object]]:
    """A row for each engine and precision."""
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (1, *SIZE, 3)).astype(np.float32)
    model = network(NETWORKS[name], picture)
    work = count(model, SIZE).multiply_adds
    calibration = tuple(random.integers(0, 256, (4, *SIZE, 3)).astype(np.float32))
    runs = {}
    for engine, row in ENGINES.items():
        for precision in row.precisions if model.count_params() <= row.largest else ():
            pictures = calibration if precision == "int8" else ()
            run = _started(engine, Setting(model, SIZE, precision, None, pictures))
            if run is not None:
                runs[engine, precision] = run
    matrix = tf.constant(random.normal(size=(SIDE, SIDE)), tf.float32)
    spent: dict[Any, list[float]] = {key: [] for key in runs}
    products = []
    for _ in range(ROUNDS):
        for key, run in runs.items():
            time.sleep(PAUSE)
            started = time.perf_counter()
            run(picture)
            spent[key].append(time.perf_counter() - started)
        time.sleep(PAUSE)
        started = time.perf_counter()
        tf.linalg.matmul(matrix, matrix).numpy()
        products.append((time.perf_counter() - started) / SIDE**3)
    bound = 1000 * work * statistics.median(products)
    rows = []
    for key, seconds in spent.items():
        row: dict[str, object] = {"network": name, "engine": key[0], "precision": key[1]}
        row |= compared(seconds, spent["plain", "exact"])
        reference = spent.get(("openvino", "exact"))
        row["to_openvino"] = compared(seconds, reference)["ratio"] if reference else ""
        row["gmacs"], row["bound_ms"] = round(work / 1e9, 1), round(bound, 1)
        rows.append(row)
    return rows


def main() -> None:
    """Prints the table and writes it as CSV."""
    names = sys.argv[1:] or list(NETWORKS)
    write("engines", [row for name in names for row in rows_of(name)])


if __name__ == "__main__":
    main()
