"""`FileNetwork`: an exported file in its runtime, without Keras."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

from easyseg.errors import EasysegError, InputError, WeightsError, printable
from easyseg.inference.foreign import adapt
from easyseg.inference.runtimes import (
    AUTO,
    RUNTIMES,
    Forward,
    NotCalibratedError,
    RuntimeSpec,
    installed,
    pip_line,
)
from easyseg.inference.runtimes.lanes import Lanes
from easyseg.utils.process import require_same_process
from easyseg.weights.network_file import ExportedFile

NO_REASONS = (
    "Exception from ",
    "Check '",
    "FrontEnd API failed",
)  # lines in which OpenVINO says where, not why


class FileNetwork:
    """A `Network` (see `easyseg.inference.predictor`) that runs an exported file.

    Args:
        file: The file.
        input_size: `(height, width)` of the images; the file's own unless it takes any.
        runtime: A name in `RUNTIMES`; "auto" is the first that opens files of this format.
        precision: One of `PRECISIONS`.
        batch_size: Images that take the least time together.
        folder: Where the runtime keeps what it compiled.
        device: As for `InferenceOptions`.

    Raises:
        InputError: The runtime is not installed, does not open the file, or the file takes images
            of another size.
        WeightsError: The file cannot be opened.
    """

    def __init__(
        self,
        file: ExportedFile,
        input_size: tuple[int, int],
        *,
        runtime: str = AUTO,
        precision: str = "float32",
        batch_size: int = 1,
        folder: Path | None = None,
        device: str = AUTO,
    ) -> None:
        name = own_runtime(file.file_format) if runtime == AUTO else runtime
        if file.file_format not in RUNTIMES[name].file_formats:
            raise InputError(
                f"runtime={name!r} does not open {file.path.name}; choose "
                f"{own_runtime(file.file_format)!r}, or leave it out."
            )
        if not installed(name):
            raise InputError(f"runtime {name!r} is not installed: {pip_line(name)}")
        check_size(file, input_size)
        require_same_process()
        self.runtime: str | None = name
        self.precision = "int8" if file.precision == "int8" else precision
        self.batch_size = max(batch_size, file.batch)
        self._file, self._name = file, name
        self.stride, self.half_pixel, self.weights = file.stride, file.half_pixel, file.weights
        self._is_calibrated = True
        start = importlib.import_module(RUNTIMES[name].module).start
        spec = RuntimeSpec(
            file.path, input_size, precision, folder, device, file.signature, file.batch
        )
        try:
            self._forward: Forward = start(spec)
            # not every runtime can be called from two threads
            self.lanes = self._forward.count if isinstance(self._forward, Lanes) else 1
            if file.is_foreign:
                self._forward, self.stride, self.half_pixel = adapt(file, input_size, self._forward)
        except NotCalibratedError:
            self._is_calibrated, self.lanes = False, 1
        except EasysegError:
            raise
        except Exception as error:  # other people's parsers and compilers raise anything
            raise self._error("opened", error) from error

    def start(self) -> None:
        """Raises `InputError` if it could not be started: "int8" has not been calibrated."""
        if not self._is_calibrated:
            raise InputError(
                "Precision 'int8' is not calibrated. Run optimize once with about 100 images of "
                "the kind to be segmented."
            )

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """`(N, H, W, 3)`, 0 to 255 -> `(N, h, w, classes) float32`.

        Raises:
            InputError: "int8" has not been calibrated.
            WeightsError: The file cannot be run, or gives something else.
        """
        self.start()
        try:
            logits = self._forward(images)
        except EasysegError:
            raise
        except Exception as error:  # likewise
            raise self._error("run", error) from error
        number, *sides = images.shape[:3]
        classes = self._file.config.num_classes
        fits = logits.ndim == 4 and (logits.shape[0], logits.shape[3]) == (number, classes)
        pairs = zip(logits.shape[1:3], sides, strict=True)
        if not fits or not all(1 <= n <= 2 * side for n, side in pairs):
            raise self._error("used", f"logits of shape {logits.shape} for {images.shape}")
        if not np.isfinite(logits.sum()):
            raise self._error("used", "its logits are not finite, as of damaged weights")
        return logits

    def _error(self, done: str, error: object) -> WeightsError:
        lines = printable(error).strip().splitlines() or [type(error).__name__]
        reason = next((line for line in lines if not line.startswith(NO_REASONS)), lines[0])
        reason = reason if len(reason) <= 300 else f"... {reason[-300:]}"  # C++ comes first
        return WeightsError(
            f"{self._file.path} cannot be {done} by runtime {self._name!r} ({reason}). Copy or "
            "export it again, with operations that the runtime has."
        )


def own_runtime(file_format: str) -> str:
    """The first runtime that opens files of this format.

    Raises:
        InputError: There is none.
    """
    for name, entry in RUNTIMES.items():
        if file_format in entry.file_formats:
            return name
    raise InputError(
        f"easyseg does not run files of format {file_format!r}. Export the model as ONNX."
    )


def check_size(file: ExportedFile, input_size: tuple[int, int]) -> None:
    """Raises `InputError` if the file does not take images of this size."""
    if not file.dynamic and input_size != file.config.input_size:
        height, width = file.config.input_size
        raise InputError(
            f"{file.path.name} takes images of {height}x{width} pixels, not {input_size[0]}x"
            f"{input_size[1]}. Leave out tile, or export the model with dynamic=True."
        )
