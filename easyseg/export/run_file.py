"""Runs an exported file in its own runtime, in a process that never loads TensorFlow.

python -m easyseg.export.run_file FORMAT FILE INPUTS.npz OUTPUTS.npz
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

CALLS = 3


def _open_onnx(path: str) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    import onnxruntime  # noqa: PLC0415

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda image: dict(zip(names, session.run(names, {"image": image}), strict=True))


OPEN = {"onnx": _open_onnx}


def main(file_format: str, path: str, inputs: str, outputs: str) -> None:
    """Writes what the file gives for each array, `<name>/<output>`, and its milliseconds."""
    run = OPEN[file_format](path)
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
    assert "tensorflow" not in sys.modules  # noqa: S101  (it must not need it)
    np.savez(outputs, milliseconds=1000 * statistics.median(seconds), **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
