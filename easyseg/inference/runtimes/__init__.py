"""What runs a network: a table of runtimes, from Keras itself to OpenVINO.

A runtime is a module with `start(spec)`, which returns a function from images `(N, H, W, 3)`,
0 to 255, to logits `(N, h, w, classes) float32`.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from easyseg.errors import InputError
from easyseg.utils.registry import unknown_name

if TYPE_CHECKING:
    import numpy as np

AUTO = "auto"
KERAS = "keras"
PRECISIONS = ("float32", "bfloat16", "int8")
Forward: TypeAlias = "Callable[[np.ndarray], np.ndarray]"


class Runtime(NamedTuple):
    """An entry of the table.

    Attributes:
        module: The module with its `start`.
        precisions: Those of `PRECISIONS` that it supports.
        packages: What the extra of the runtime's name installs.
        max_parameters: "auto" tries it only for networks of up to this many parameters.
        saved_file: The file from which it starts without Keras; empty if it cannot.
    """

    module: str
    precisions: tuple[str, ...] = ("float32",)
    packages: tuple[str, ...] = ()
    max_parameters: float = math.inf
    saved_file: str = ""


class RuntimeSpec(NamedTuple):
    """What a runtime is started with.

    Attributes:
        network: A `keras.Model` from images to logits; not needed where `folder` has the file
            that the runtime starts from.
        input_size: `(height, width)` of the images in pixels.
        precision: One of `PRECISIONS`.
        folder: Where the runtime saves what it compiled, for this network and machine alone.
        calibration_images: `(H, W, 3)` each, 0 to 255, to calibrate "int8".
    """

    network: Any
    input_size: tuple[int, int]
    precision: str = "float32"
    folder: Path | None = None
    calibration_images: Sequence[np.ndarray] = ()


RUNTIMES = {
    KERAS: Runtime("easyseg.inference.runtimes.keras"),
    "tensorflow": Runtime("easyseg.inference.runtimes.tensorflow", ("float32", "bfloat16")),
    "openvino": Runtime(
        "easyseg.inference.runtimes.openvino",
        ("float32", "bfloat16", "int8"),
        ("openvino",),
        saved_file="network.blob",
    ),
    "onnxruntime": Runtime(
        "easyseg.inference.runtimes.onnxruntime",
        packages=("onnxruntime", "tf2onnx"),
        saved_file="network.onnx",
    ),
    "litert": Runtime(
        "easyseg.inference.runtimes.litert",
        packages=("ai_edge_litert",),
        max_parameters=10e6,  # for mobile networks; the conversion of others takes minutes
        saved_file="network.tflite",
    ),
}


def check_runtime(runtime: str, precision: str) -> None:
    """Checks that the runtime exists and supports the precision.

    Raises:
        UnknownNameError: No such runtime or precision.
        InputError: The runtime does not support the precision.
    """
    if runtime not in (AUTO, *RUNTIMES):
        raise unknown_name("runtime", runtime, (AUTO, *RUNTIMES))
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if runtime != AUTO and precision not in RUNTIMES[runtime].precisions:
        able = [name for name, entry in RUNTIMES.items() if precision in entry.precisions]
        raise InputError(
            f"Runtime {runtime!r} does not support precision {precision!r}. "
            f"Choose runtime {', '.join(map(repr, [AUTO, *able[:-1]]))} or {able[-1]!r}."
        )


def installed(runtime: str) -> bool:
    """Whether the runtime's packages are installed."""
    return all(importlib.util.find_spec(package) for package in RUNTIMES[runtime].packages)
