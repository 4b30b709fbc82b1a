"""Runs a network in the chosen runtime, or in the one that was measured to be fastest."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from easyseg._keras import backend
from easyseg.errors import InputError, OutputError
from easyseg.inference.runtimes import (
    AUTO,
    KERAS,
    RUNTIMES,
    Forward,
    RuntimeSpec,
    check_runtime,
    installed,
)
from easyseg.inference.runtimes.benchmark import (
    best_batch_size,
    matching,
    median_milliseconds,
    sample_input,
)
from easyseg.inference.runtimes.cache import exclusive, network_folder
from easyseg.inference.runtimes.hardware import has_bfloat16, has_gpu
from easyseg.inference.runtimes.start import runtime_folder, start_all, start_runtime
from easyseg.io.atomic import write_bytes
from easyseg.utils.documents import parse_json

__all__ = ["Runner"]

log = logging.getLogger(__name__)

NO_INT8 = (
    "precision='int8' is not available here. It needs Keras's TensorFlow backend, "
    "pip install 'easyseg[int8]' and then calibration by optimize; or leave precision out."
)


class Runner:
    """Runs a network; the runtime is started by `start` or the first images.

    "auto" uses the runtime that `optimize` measured to be fastest for this network on this machine,
    now or in an earlier process; before that, "keras", whose first result is there soonest.

    Args:
        network: A `keras.Model` from images to logits.
        input_size: `(height, width)` of the images in pixels.
        stride: Pixels of the input between two logits.
        runtime: "auto" or a name in `RUNTIMES`. "keras" follows the network's weights when they
            change; the others keep those of the start, or of the last `optimize`.
        precision: One of `PRECISIONS`.
        home: The cache folder; without it nothing is saved for later processes.

    Attributes:
        spec: What the runtimes are started with; its folder is known once one has been started.
        runtime: Name of the runtime in use; `None` before the start.
        batch_size: Images that take the least time together as far as measured, else 1.

    Raises:
        UnknownNameError: No such runtime or precision.
        InputError: The runtime does not support the precision, or "int8" cannot be had.
    """

    def __init__(
        self,
        network: Any,
        input_size: tuple[int, int],
        *,
        stride: int = 1,
        runtime: str = KERAS,
        precision: str = "float32",
        home: Path | None = None,
    ) -> None:
        check_runtime(runtime, precision)
        if backend() != "tensorflow" and precision == "int8":
            raise InputError(NO_INT8)
        if backend() != "tensorflow" and runtime != KERAS:
            if (runtime, precision) != (AUTO, "float32"):
                log.warning("runtimes need Keras's TensorFlow backend; using runtime 'keras'.")
            runtime, precision = KERAS, "float32"
        if precision == "bfloat16" and not (has_bfloat16() or has_gpu()):
            log.warning("this processor does not compute bfloat16; using precision 'float32'.")
            precision = "float32"
        self.stride = stride
        self.spec = RuntimeSpec(network, input_size, precision)
        self.runtime: str | None = None
        self.batch_size = 1
        self._choice = runtime
        self._home = home
        self._forward: Forward | None = None
        self._lock = threading.RLock()  # not every runtime can be called from two threads

    @property
    def precision(self) -> str:
        """One of `PRECISIONS`: as chosen, or "float32" where that is not available."""
        return self.spec.precision

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """`(N, H, W, 3)`, 0 to 255 -> `(N, h, w, classes) float32`.

        Raises:
            InputError: The precision is "int8", which is not calibrated or cannot be had.
        """
        with self._lock:
            self.start()
            assert self._forward is not None  # noqa: S101  (for mypy)
            return self._forward(images)

    def start(self) -> None:
        """Starts the runtime, if it has not been started; `batch_size` is final after that.

        Raises:
            InputError: The precision is "int8", which is not calibrated.
        """
        with self._lock:
            if self._forward is not None:
                return
            name = self._fastest() if self._choice == AUTO else self._choice
            if name != KERAS and self.spec.folder is None:
                self.spec = self.spec._replace(folder=self._network_folder())
            self._forward = start_runtime(name, self.spec)
            self.runtime = name
            if self._forward is None:
                self._fall_back()

    def optimize(self, images: Sequence[np.ndarray] = ()) -> dict[str, float]:
        """Measures the runtimes, uses the fastest and remembers it for later processes.

        Where a runtime was chosen, only that one is started again and measured.

        Args:
            images: `(*input_size, 3)` each, 0 to 255, to measure with and to calibrate "int8" with.

        Returns:
            Milliseconds for an image by runtime, fastest first.

        Raises:
            InputError: The precision is "int8", which is not calibrated, and there are no images.
        """
        with self._lock, exclusive(self._home):
            self.spec = self.spec._replace(folder=self._network_folder())
            names = self._candidates() if self._choice == AUTO else [self._choice]
            started = start_all(names, self.spec, images)
            if not started:
                started = {KERAS: self._fall_back()}
            sample = sample_input(images, self.spec.input_size)
            if len(started) > 1 and KERAS in started:
                started = matching(started, started[KERAS], sample)
            milliseconds = median_milliseconds(started, sample)
            _warn_without_gain(milliseconds)
            self.runtime = next(iter(milliseconds))
            self._forward = started[self.runtime]
            if self._choice == AUTO:
                self.batch_size = best_batch_size(self._forward, sample)
                self._remember(milliseconds)
            return milliseconds

    def benchmark(self, images: Sequence[np.ndarray] = ()) -> dict[str, float]:
        """Measures all installed runtimes in this precision; changes and saves nothing.

        Args:
            images: As in `optimize`.

        Returns:
            Milliseconds for an image by runtime, fastest first.

        Raises:
            InputError: The precision is "int8", which is not calibrated, and there are no images.
        """
        with self._lock, exclusive(self._home):
            folder = self._network_folder()
            started: dict[str, Forward] = {}
            calibrates = self.precision == "int8" and len(images) > 0
            for name in self._candidates():
                saved = folder and runtime_folder(folder, name, self.precision).is_dir()
                spec = self.spec._replace(folder=folder if saved and not calibrates else None)
                started |= start_all([name], spec, images)
            if not started and self.precision == "int8":
                raise InputError(NO_INT8)
            milliseconds = median_milliseconds(started, sample_input(images, self.spec.input_size))
            _warn_without_gain(milliseconds)
            return milliseconds

    def _fall_back(self) -> Forward:
        """Uses Keras, which is always available; the reason has been logged.

        Raises:
            InputError: The precision is "int8", which Keras does not have.
        """
        if self.precision == "int8":
            raise InputError(NO_INT8)
        log.warning("using runtime 'keras' instead.")
        self._choice, self.spec = KERAS, self.spec._replace(precision="float32")
        self.runtime, self._forward = KERAS, start_runtime(KERAS, self.spec)
        assert self._forward is not None  # noqa: S101  (for mypy)
        return self._forward

    def _candidates(self) -> list[str]:
        if backend() != "tensorflow":
            return [KERAS]
        parameters = self.spec.network.count_params()
        return [
            name
            for name, entry in RUNTIMES.items()
            if self.precision in entry.precisions and parameters <= entry.max_parameters
        ]

    @property
    def _measurement(self) -> str:
        return f"fastest-{self.precision}.json"

    def _network_folder(self) -> Path | None:
        """The folder of the network with its present weights."""
        return self._home and network_folder(self._home, self.spec.network, self.spec.input_size)

    def _fastest(self) -> str:
        """The runtime for "auto": the fastest that is installed, if they have been measured."""
        names = self._candidates()
        if self._home is None or not (self._home / "runtimes").is_dir():
            return names[0]  # the first result need not wait until all weights are read
        folder = network_folder(self._home, self.spec.network, self.spec.input_size)
        self.spec = self.spec._replace(folder=folder)
        try:
            measured = parse_json((folder / self._measurement).read_text("utf-8"))
            fastest = [n for n in measured["milliseconds"] if n in names and installed(n)]
            self.batch_size = int(measured["batch_size"])
        except (OSError, ValueError, KeyError, TypeError):  # missing or damaged
            return names[0]
        return fastest[0] if fastest else names[0]

    def _remember(self, milliseconds: dict[str, float]) -> None:
        """Saves the measurement, and removes the files of the runtimes that are not in use."""
        folder = self.spec.folder
        if folder is None:
            return
        content = json.dumps({"milliseconds": milliseconds, "batch_size": self.batch_size})
        try:
            write_bytes(folder / self._measurement, content.encode())
        except OutputError as error:
            log.warning("the fastest runtime is not remembered: %s", error)
        for name in milliseconds.keys() - {self.runtime}:
            shutil.rmtree(runtime_folder(folder, name, self.precision), ignore_errors=True)


def _warn_without_gain(milliseconds: dict[str, float]) -> None:
    """Logs that Keras is the fastest of the runtimes measured."""
    if next(iter(milliseconds), None) == KERAS:
        log.warning(
            "nothing is gained: of the runtimes measured (%s), keras is the fastest.",
            ", ".join(milliseconds),
        )
