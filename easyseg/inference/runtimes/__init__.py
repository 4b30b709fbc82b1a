"""What runs a network: a table of runtimes, from Keras itself to OpenVINO.

A runtime is a module with `start(setting)`, which gives a function from images
`(N, H, W, 3)`, 0 to 255, to logits `(N, h, w, classes) float32`.
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

__all__ = [
    "AUTO",
    "PRECISIONS",
    "RUNTIMES",
    "Run",
    "Runtime",
    "RuntimeSpec",
    "check_runtime",
    "installed",
]

AUTO = "auto"
PRECISIONS = ("float32", "bfloat16", "int8")  # float32; bfloat16; 8 bits after calibration
Run: TypeAlias = "Callable[[np.ndarray], np.ndarray]"


class Runtime(NamedTuple):
    """A row of the table.

    Attributes:
        module: Where its `start` is.
        precisions: Those of `PRECISIONS` that it has.
        packages: What must be installed for it beyond what easyseg always needs.
        extra: The extra of easyseg that installs them.
        largest: Parameters of a network up to which "auto" tries it.
        keeps: The file from which it starts without Keras, if there is one.
    """

    module: str
    precisions: tuple[str, ...] = ("float32",)
    packages: tuple[str, ...] = ()
    extra: str = ""
    largest: float = math.inf
    keeps: str = ""


class RuntimeSpec(NamedTuple):
    """What a runtime shall run.

    Attributes:
        network: A `keras.Model` from images to logits.
        size: `(height, width)` of the images.
        precision: One of `PRECISIONS`.
        folder: Where the runtime may keep what it compiled; it belongs to this network and machine.
        images: `(H, W, 3)` each, 0 to 255, to calibrate "int8" with.
    """

    network: Any
    size: tuple[int, int]
    precision: str = "float32"
    folder: Path | None = None
    images: Sequence[np.ndarray] = ()


RUNTIMES = {
    "keras": Runtime("easyseg.inference.runtimes.keras"),
    "tensorflow": Runtime("easyseg.inference.runtimes.graph", ("float32", "bfloat16")),
    "openvino": Runtime(
        "easyseg.inference.runtimes.openvino",
        ("float32", "bfloat16", "int8"),
        ("openvino",),
        "openvino",
        keeps="network.blob",
    ),
    "onnxruntime": Runtime(
        "easyseg.inference.runtimes.onnxruntime",
        packages=("onnxruntime", "tf2onnx"),
        extra="onnxruntime",
        keeps="network.onnx",
    ),
    "litert": Runtime(
        "easyseg.inference.runtimes.litert",
        packages=("ai_edge_litert",),
        extra="litert",
        largest=10e6,  # for mobile networks; of others the conversion alone takes minutes
        keeps="network.tflite",
    ),
}


def check_runtime(runtime: str, precision: str) -> None:
    """Raises if there is no such runtime, or not in this precision.

    Raises:
        UnknownNameError: No such runtime or precision.
        InputError: The runtime has no such precision.
    """
    if runtime not in (AUTO, *RUNTIMES):
        raise unknown_name("runtime", runtime, (AUTO, *RUNTIMES))
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if runtime != AUTO and precision not in RUNTIMES[runtime].precisions:
        able = [name for name, row in RUNTIMES.items() if precision in row.precisions]
        raise InputError(
            f"runtime={runtime!r} has no precision {precision!r}; choose runtime='auto', or "
            f"{' or '.join(map(repr, able))}."
        )


def installed(runtime: str) -> bool:
    """Whether the runtime's packages are there."""
    return all(importlib.util.find_spec(package) for package in RUNTIMES[runtime].packages)
