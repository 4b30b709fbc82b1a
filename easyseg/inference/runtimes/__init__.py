"""What runs a network: Keras, or a runtime that opens an exported file.

A runtime is a module with `start(spec)`, which returns a function from images `(N, H, W, 3)`,
0 to 255, to logits `(N, h, w, classes) float32`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from easyseg.errors import InputError
from easyseg.utils.registry import unknown_name
from easyseg.weights.network_file import OWN, Signature

if TYPE_CHECKING:
    import numpy as np

AUTO = "auto"
KERAS = "keras"
PRECISIONS = ("float32", "bfloat16", "int8")
Forward: TypeAlias = "Callable[[np.ndarray], np.ndarray]"


class NotCalibratedError(Exception):
    """A runtime cannot start yet: "int8" lacks the ranges that `optimize` measures on images."""


class Runtime(NamedTuple):
    """An entry of the table.

    Attributes:
        module: The module with its `start`.
        file_formats: Formats of the exported files that it opens, the preferred one first.
        precisions: Those of `PRECISIONS` that it supports.
        package: That it needs, by the name of its import.
        install: What pip installs for it.
    """

    module: str
    file_formats: tuple[str, ...]
    precisions: tuple[str, ...] = ("float32",)
    package: str = ""
    install: str = ""


class RuntimeSpec(NamedTuple):
    """What a runtime is started with.

    Attributes:
        path: An exported file.
        input_size: `(height, width)` of the images in pixels.
        precision: One of `PRECISIONS`.
        folder: Where the runtime keeps what it compiled of this file; `None` to keep nothing.
        device: "auto", or as `easyseg.inference.runtimes.devices` names it.
        signature: The tensors of a file that easyseg did not write.
        batch: Images that the file takes together, always as many.
    """

    path: Path
    input_size: tuple[int, int]
    precision: str = "float32"
    folder: Path | None = None
    device: str = AUTO
    signature: Signature = OWN
    batch: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the image's tensor."""
        return (self.batch, *self.signature.shape(self.input_size)[1:])

    def onnx(self) -> bytes:
        """The ONNX file, with the image as floats and logits among its outputs if it is ours."""
        from easyseg.weights.exported import onnx_for_logits  # noqa: PLC0415

        content = self.path.read_bytes()
        return onnx_for_logits(content) if self.signature == OWN else content


RUNTIMES = {
    KERAS: Runtime("easyseg.inference.runtimes.keras", ("keras",)),
    "onnxruntime": Runtime(
        "easyseg.inference.runtimes.onnxruntime",
        ("onnx",),
        package="onnxruntime",
        install="onnxruntime",
    ),
    "openvino": Runtime(
        "easyseg.inference.runtimes.openvino",
        ("onnx", "openvino"),
        ("float32", "bfloat16", "int8"),
        package="openvino",
        install="easyseg[openvino]",
    ),
    "litert": Runtime(
        "easyseg.inference.runtimes.litert",
        ("tflite",),
        package="ai_edge_litert",
        install="easyseg[litert]",
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
    """Whether the runtime's package is installed."""
    package = RUNTIMES[runtime].package
    return not package or importlib.util.find_spec(package) is not None


def in_batches(run: Forward, size: int) -> Forward:
    """Runs so many images at a time, repeating the last one where there are fewer.

    Most files take one image: compiled for it, a runtime is faster.
    """
    import numpy as np  # noqa: PLC0415

    def forward(images: np.ndarray) -> np.ndarray:
        results = []
        for first in range(0, len(images), size):
            part = images[first : first + size]
            missing = size - len(part)
            batch = np.concatenate([part, *missing * [part[-1:]]]) if missing else part
            results.append(run(batch)[: len(part)])
        return results[0] if len(results) == 1 else np.concatenate(results)

    return forward


def pip_line(runtime: str) -> str:
    """How the runtime is installed."""
    return f"pip install '{RUNTIMES[runtime].install}'"
