"""How long does each runtime take for an image, against Keras and the runtimes without easyseg?

    python benchmarks/runtimes.py [xception65|mobilenetv2 ...]

Random weights with batch norms of one image of noise, 513x513, one image, timed in turns in one
process; a turn is a call that is not timed and then `CALLS` that are; ratios are of the same
round. "... alone" is the exported file in the runtime with its own settings, without easyseg: with
the logits as output, and with the labels, where easyseg's time has its own labels too. Writes
results/runtimes.csv.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from _table import compared, write

from easyseg import LabelSet, LoadedModel, ModelConfig, build_model
from easyseg.export.export import export_model
from easyseg.export.options import ExportOptions
from easyseg.inference.runtimes import KERAS, RUNTIMES, RuntimeSpec, installed
from easyseg.inference.runtimes.keras import KerasNetwork
from easyseg.models.build import logits_model
from easyseg.results.logit_grid import LogitGrid

NETWORKS = {
    "xception65": ModelConfig(num_classes=151),
    "mobilenetv2": ModelConfig(backbone="mobilenetv2", aspp_rates=(), decoder="none"),
}
SIZE = (513, 513)
ROUNDS = 9
CALLS = 3
PAUSE = 0.06  # seconds in which the threads of the previous runtime go to sleep


def network(config: ModelConfig, image: np.ndarray) -> Any:
    """A network whose batch norms fit the image, so that no feature vanishes."""
    keras.utils.set_random_seed(0)
    model = build_model(config)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    model(image, training=True)
    return model


def alone(path: Path) -> Callable[[np.ndarray], Any]:
    """ONNX Runtime with its own settings."""
    import onnxruntime  # noqa: PLC0415

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image})[0]


def with_labels(run: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], Any]:
    """The same up to the labels at the image's size."""

    def labels(image: np.ndarray) -> np.ndarray:
        logits = run(image)[0]
        rows, cols = (
            np.linspace(0, n - 1, side) for n, side in zip(logits.shape, SIZE, strict=False)
        )
        return LogitGrid(logits, rows, cols).labels()

    return labels


def runs_of(name: str, folder: Path, image: np.ndarray) -> dict[tuple[str, str], Callable]:
    """What is timed, by name and precision."""
    model, config = network(NETWORKS[name], image), NETWORKS[name]
    numbers = tuple(map(str, range(config.num_classes)))
    labels = LabelSet("numbers", numbers, ((0, 0, 0),) * len(numbers))
    files = {output: folder / f"{output}.onnx" for output in ("logits", "labels")}
    for output, path in files.items():
        options = ExportOptions(size=SIZE, output=output, check=False)
        export_model(path, options, lambda: LoadedModel(model, config, labels))
    runs: dict[tuple[str, str], Callable] = {
        (KERAS, "float32"): KerasNetwork(logits_model(model), SIZE)
    }
    for runtime, entry in RUNTIMES.items():
        if runtime == KERAS or not installed(runtime):
            continue
        module = importlib.import_module(entry.module)
        for precision in entry.precisions:
            spec = RuntimeSpec(files["logits"], SIZE, precision, folder)
            if precision == "int8":
                module.calibrate(spec, [image[0]] * 4)
            runs[runtime, precision] = module.start(spec)
    runs["onnxruntime alone", "float32"] = alone(files["logits"])
    runs["onnxruntime, labels", "float32"] = with_labels(runs["onnxruntime", "float32"])
    runs["onnxruntime alone, labels", "float32"] = alone(files["labels"])
    return runs


def rows_of(name: str) -> list[dict[str, object]]:
    """A row for each runtime and precision."""
    image = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        runs = runs_of(name, Path(folder), image)
    spent: dict[Any, list[float]] = {key: [] for key in runs}
    for _ in range(ROUNDS):
        for key, run in runs.items():
            time.sleep(PAUSE)
            run(image)
            started = time.perf_counter()
            for _ in range(CALLS):
                run(image)
            spent[key].append((time.perf_counter() - started) / CALLS)
    return [
        {"network": name, "runtime": key[0], "precision": key[1]}
        | compared(seconds, spent[KERAS, "float32"])
        for key, seconds in spent.items()
    ]


def main() -> None:
    """Prints the table and writes it as CSV."""
    names = sys.argv[1:] or list(NETWORKS)
    write("runtimes", [row for name in names for row in rows_of(name)])


if __name__ == "__main__":
    main()
