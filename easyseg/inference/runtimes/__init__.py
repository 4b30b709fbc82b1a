"""What runs a network: a table of engines, from Keras itself to OpenVINO.

An engine is a module with `start(setting)`, which gives a function from pictures
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

__all__ = ["AUTO", "ENGINES", "PRECISIONS", "Engine", "Run", "Setting", "check_engine", "installed"]

AUTO = "auto"
PRECISIONS = ("exact", "fast", "int8")  # float32; bfloat16; 8 bits after calibration
Run: TypeAlias = "Callable[[np.ndarray], np.ndarray]"


class Engine(NamedTuple):
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
    precisions: tuple[str, ...] = ("exact",)
    packages: tuple[str, ...] = ()
    extra: str = ""
    largest: float = math.inf
    keeps: str = ""


class Setting(NamedTuple):
    """What an engine shall run.

    Attributes:
        network: A `keras.Model` from pictures to logits.
        size: `(height, width)` of the pictures.
        precision: One of `PRECISIONS`.
        folder: Where the engine may keep what it compiled; it belongs to this network and machine.
        pictures: `(H, W, 3)` each, 0 to 255, to calibrate "int8" with.
    """

    network: Any
    size: tuple[int, int]
    precision: str = "exact"
    folder: Path | None = None
    pictures: Sequence[np.ndarray] = ()


ENGINES = {
    "plain": Engine("easyseg.inference.runtimes.keras"),
    "tensorflow": Engine("easyseg.inference.runtimes.graph", ("exact", "fast")),
    "openvino": Engine(
        "easyseg.inference.runtimes.openvino",
        ("exact", "fast", "int8"),
        ("openvino",),
        "openvino",
        keeps="network.blob",
    ),
    "onnxruntime": Engine(
        "easyseg.inference.runtimes.onnxruntime",
        packages=("onnxruntime", "tf2onnx"),
        extra="onnxruntime",
        keeps="network.onnx",
    ),
    "litert": Engine(
        "easyseg.inference.runtimes.litert",
        packages=("ai_edge_litert",),
        extra="litert",
        largest=10e6,  # for mobile networks; of others the conversion alone takes minutes
        keeps="network.tflite",
    ),
}


def check_engine(engine: str, precision: str) -> None:
    """Raises if there is no such engine, or not in this precision.

    Raises:
        UnknownNameError: No such engine or precision.
        InputError: The engine has no such precision.
    """
    if engine not in (AUTO, *ENGINES):
        raise unknown_name("engine", engine, (AUTO, *ENGINES))
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if engine != AUTO and precision not in ENGINES[engine].precisions:
        able = [name for name, row in ENGINES.items() if precision in row.precisions]
        raise InputError(
            f"engine={engine!r} has no precision {precision!r}; choose engine='auto', or "
            f"{' or '.join(map(repr, able))}."
        )


def installed(engine: str) -> bool:
    """Whether the engine's packages are there."""
    return all(importlib.util.find_spec(package) for package in ENGINES[engine].packages)
