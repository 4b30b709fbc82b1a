"""How long does each runtime take for an image, against Keras and the runtimes without easyseg?

    python benchmarks/runtimes.py [xception65|mobilenetv2 ...] [--precisions float32] [--minutes 6]

Random weights with batch norms of one image of noise, 513x513, one image, timed in turns in one
process; a turn is a call that is not timed and then `CALLS` that are; ratios are of the same
round: to Keras, to ONNX Runtime alone, to OpenVINO alone. "auto" is the fastest of easyseg's, which
`optimize` chooses. "... alone" is the exported file in the runtime with its own settings, without
easyseg: with the logits as output, and with the labels, where easyseg's time has its own labels
too. No round begins after the minutes are over. Writes results/runtimes.csv.

`--against COMMAND` times another program in the same rounds, such as an older easyseg. It gets the
network's name, prints a line with the names of what it times, and then, for each name that it
reads, a line with the seconds of one call.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import shlex
import statistics
import subprocess
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
from easyseg.inference.runtimes import KERAS, PRECISIONS, RUNTIMES, RuntimeSpec, installed
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


def onnxruntime_alone(path: Path) -> Callable[[np.ndarray], Any]:
    """ONNX Runtime with its own settings."""
    import onnxruntime  # noqa: PLC0415

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image})[0]


def openvino_alone(path: Path) -> Callable[[np.ndarray], Any]:
    """OpenVINO with its own settings, in float32."""
    import openvino  # noqa: PLC0415

    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.compile_model(path, "CPU", hint)
    return lambda image: compiled(image)[0]


class Other:
    """A program that times its own runtimes when it is told to."""

    def __init__(self, command: str, network: str) -> None:
        self.process = subprocess.Popen(
            [*shlex.split(command), network],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.names = self._line().split()

    def seconds(self, name: str) -> float:
        """Of one call, by the other program's clock."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{name}\n")
        return float(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args} ended")
        return line


def with_labels(run: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], Any]:
    """The same up to the labels at the image's size."""

    def labels(image: np.ndarray) -> np.ndarray:
        logits = run(image)[0]
        rows, cols = (
            np.linspace(0, n - 1, side) for n, side in zip(logits.shape, SIZE, strict=False)
        )
        return LogitGrid(logits, rows, cols).labels()

    return labels


def runs_of(
    name: str, folder: Path, image: np.ndarray, precisions: list[str]
) -> dict[tuple[str, str], Callable]:
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
        if "onnx" not in entry.file_formats or not installed(runtime):
            continue
        module = importlib.import_module(entry.module)
        for precision in set(entry.precisions) & set(precisions):
            spec = RuntimeSpec(files["logits"], SIZE, precision, folder)
            if precision == "int8":
                module.calibrate(spec, [image[0]] * 4)
            runs[runtime, precision] = module.start(spec)
    runs["onnxruntime alone", "float32"] = onnxruntime_alone(files["logits"])
    if installed("openvino"):
        runs["openvino alone", "float32"] = openvino_alone(files["logits"])
    runs["onnxruntime, labels", "float32"] = with_labels(runs["onnxruntime", "float32"])
    runs["onnxruntime alone, labels", "float32"] = onnxruntime_alone(files["labels"])
    return runs


def seconds_of(run: Callable[[np.ndarray], Any], image: np.ndarray) -> float:
    """Of one call, of `CALLS` after one that is not timed."""
    time.sleep(PAUSE)
    run(image)
    started = time.perf_counter()
    for _ in range(CALLS):
        run(image)
    return (time.perf_counter() - started) / CALLS


def rows_of(name: str, options: argparse.Namespace, minutes: float) -> list[dict[str, object]]:
    """A row for each runtime and precision."""
    end = time.monotonic() + 60 * minutes
    image = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3), np.uint8)
    precisions = options.precisions.split(",")
    with tempfile.TemporaryDirectory() as folder:
        runs = runs_of(name, Path(folder), image, precisions)
    timed = {key: functools.partial(seconds_of, run, image) for key, run in runs.items()}
    if options.against:
        other = Other(options.against, name)
        timed |= {
            (f"other: {each}", "float32"): functools.partial(other.seconds, each)
            for each in other.names
        }
    spent: dict[Any, list[float]] = {key: [] for key in timed}
    while len(spent[KERAS, "float32"]) < ROUNDS and (
        not spent[KERAS, "float32"] or time.monotonic() < end
    ):
        for key, seconds in timed.items():
            spent[key].append(seconds())
    own = [key for key in spent if key[0] in RUNTIMES and key[1] == "float32"]
    fastest = min(own, key=lambda key: statistics.median(spent[key]))
    spent["auto", "float32"] = spent[fastest]
    rows = []
    for key, series in spent.items():
        row: dict[str, object] = {"network": name, "runtime": key[0], "precision": key[1]}
        row |= compared(series, spent[KERAS, "float32"])
        for peer in ("onnxruntime alone", "openvino alone"):
            base = spent.get((peer, "float32"))
            row[f"to {peer}"] = compared(series, base)["ratio"] if base else ""
        rows.append(row | {"rounds": len(series)})
    return rows


def main() -> None:
    """Prints the table and writes it as CSV."""
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*", choices=[*NETWORKS, "all"], default="all")
    parser.add_argument("--precisions", default=",".join(PRECISIONS), help="int8 needs nncf")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--against", metavar="COMMAND", help="another program to time in turns")
    options = parser.parse_args()
    names = list(NETWORKS) if "all" in options.networks else options.networks
    minutes = options.minutes / len(names)
    write("runtimes", [row for name in names for row in rows_of(name, options, minutes)])


if __name__ == "__main__":
    main()
