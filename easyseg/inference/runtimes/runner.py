"""A network under the runtime that was asked for, or under the fastest one."""

from __future__ import annotations

import importlib
import json
import logging
import math
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from easyseg._keras import backend
from easyseg.errors import InputError, OutputError
from easyseg.inference.runtimes import AUTO, RUNTIMES, Run, RuntimeSpec, check_runtime, installed
from easyseg.inference.runtimes.benchmark import agreeing, best_batch, measured
from easyseg.inference.runtimes.cache import alone, has_bfloat16, network_folder
from easyseg.inference.runtimes.graph import has_gpu
from easyseg.io.atomic import write_bytes

__all__ = ["Runner"]

log = logging.getLogger(__name__)

PLAIN = "keras"
PATIENCE = 60.0  # seconds of inference after which "auto" measures


class Runner:
    """Runs a network; what a runtime needs is made at the first image.

    "auto" takes the runtime that was measured to be the fastest on this machine, if `optimize` has
    been called for this network at any time. Otherwise it begins as "keras", whose first result
    is there soonest, and measures by itself in a run in which the network has worked for a minute.

    Args:
        network: A `keras.Model` from images to logits.
        size: `(height, width)` of the images.
        stride: Pixels of an image between two logits of a single scale.
        runtime: "auto" or a row of `RUNTIMES`. All but "keras" take the weights as they are at
            the first image, or at the next `optimize`.
        precision: One of `PRECISIONS`.
        home: The cache folder; without one nothing is kept from one process to the next.

    Raises:
        UnknownNameError: No such runtime or precision.
        InputError: The runtime has no such precision.
    """

    def __init__(
        self,
        network: Any,
        size: tuple[int, int],
        *,
        stride: int = 4,
        runtime: str = PLAIN,
        precision: str = "float32",
        home: Path | None = None,
    ) -> None:
        check_runtime(runtime, precision)
        if backend() != "tensorflow" and runtime != PLAIN:
            if (runtime, precision) != (AUTO, "float32"):
                log.warning("runtimes need Keras's TensorFlow backend; using runtime 'plain'.")
            runtime, precision = PLAIN, "float32"
        if precision == "bfloat16" and not (has_bfloat16() or has_gpu()):
            log.warning("this processor has no bfloat16; using precision 'exact'.")
            precision = "float32"
        self.runtime: str | None = None  # the runtime that runs, from the first image on
        self.stride = stride
        self._wanted = runtime
        self._setting = RuntimeSpec(network, size, precision)
        self._home = home
        self._run: Run | None = None
        self._batch_size = 1
        self._patience = PATIENCE
        self._lock = threading.RLock()  # not every runtime can be called from two threads

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """`(N, H, W, 3)`, 0 to 255 -> `(N, h, w, classes) float32`.

        Raises:
            InputError: The precision is "int8", which has not been calibrated.
        """
        with self._lock:
            run = self._ready()
            started = time.perf_counter()
            logits = run(images)
            self._patience -= time.perf_counter() - started
            if self._patience < 0:
                self._measure(images)
            return logits

    @property
    def precision(self) -> str:
        """One of `PRECISIONS`: what was asked for, or "float32" where that cannot be."""
        return self._setting.precision

    @property
    def folder(self) -> Path | None:
        """Where the runtimes keep what they compiled, once it is known."""
        return self._setting.folder

    @property
    def batch_size(self) -> int:
        """Images that go through the network together at the least cost; 1 if not measured."""
        return self._batch_size

    def start(self) -> None:
        """Loads or compiles what the first image needs, if that has not been done."""
        with self._lock:
            self._ready()

    def optimize(self, images: Sequence[np.ndarray] = ()) -> dict[str, float]:
        """Makes ready what the first image would wait for; with "auto", finds the fastest.

        Args:
            images: `(H, W, 3)` each, 0 to 255, to measure with and to calibrate "int8" with.

        Returns:
            Milliseconds for an image, by runtime, fastest first.
        """
        with self._lock, alone(self._home):
            return self._warmup(images)

    def _warmup(self, images: Sequence[np.ndarray]) -> dict[str, float]:
        self._keep()
        calibrates = self._setting.precision == "int8" and len(images) > 0
        setting = self._setting._replace(images=tuple(images) if calibrates else ())
        runs: dict[str, Run] = {}
        for name in self._candidates() if self._wanted == AUTO else [self._wanted]:
            at_work = self._run if name == self.runtime and not calibrates else None
            run = at_work or _started(name, setting)
            if run is not None:
                runs[name] = run
        if not runs:
            self._fall_back()
            return self._warmup(images)
        batch = np.full((1, *self._setting.size, 3), 127.5, np.float32)
        if len(images):
            batch[0] = images[0]
        if len(runs) > 1 and PLAIN in runs:
            runs = agreeing(runs, runs[PLAIN], batch)
        times = measured(runs, batch)
        self.runtime = next(iter(times))
        self._run = runs[self.runtime]
        if self._wanted == AUTO:
            self._patience = math.inf
            self._batch_size = best_batch(self._run, batch)
            self._record(times)
            self._tidy(runs)
        return times

    def _measure(self, images: np.ndarray) -> None:
        """What `optimize` does, in the middle of a run, which it must not end.

        Where another process has measured meanwhile, the next images go to what it found.
        """
        self._patience = PATIENCE
        with alone(self._home, wait=False) as mine:
            if not mine:  # another process is at it: looked for again after a while
                return
            try:
                if self._recorded():
                    self._run = None
                else:
                    self._warmup(list(images))
            except Exception as error:  # noqa: BLE001  (other people's compilers raise anything)
                self._patience = math.inf
                log.warning("the runtimes cannot be measured (%s); going on.", error)

    def _ready(self) -> Run:
        """The runtime, started if it was not."""
        if self._run is None:
            self._prepare()
        assert self._run is not None  # noqa: S101  (for mypy)
        return self._run

    def _prepare(self) -> None:
        candidates = self._candidates() if self._wanted == AUTO else [self._wanted]
        if len(candidates) == 1:
            self._patience = math.inf
        name = (self._recorded() if self._wanted == AUTO else None) or candidates[0]
        if name != PLAIN and self._setting.folder is None:
            self._keep()
        self.runtime, self._run = name, _started(name, self._setting)
        if self._run is None:
            self._fall_back()
            self._prepare()

    def _fall_back(self) -> None:
        """To what is always there; the reason has been logged."""
        self._wanted, self._setting = PLAIN, self._setting._replace(precision="float32")

    def _candidates(self) -> list[str]:
        """Runtimes that are installed and have the precision; the first is the one to begin with."""
        return [
            name
            for name, row in RUNTIMES.items()
            if self._setting.precision in row.precisions
            and self._setting.network.count_params() <= row.largest
            and (installed(name) or self._setting.precision == "int8")
        ]

    def _keep(self) -> None:
        """Finds the folder of the network with the weights that it has now."""
        if self._home is None:
            return
        folder = network_folder(self._home, self._setting.network, self._setting.size)
        if self._setting.folder not in (None, folder):  # the runtime at work has other weights
            self.runtime = self._run = None
        self._setting = self._setting._replace(folder=folder)

    def _choice(self) -> Path | None:
        folder = self._setting.folder
        return folder and folder / f"fastest-{self._setting.precision}.json"

    def _recorded(self) -> str | None:
        """The fastest runtime by an earlier measurement among the runtimes installed now."""
        if self._home is None or not (self._home / "runtimes").is_dir():
            return None  # so that the first result need not wait for the weights' digest
        self._keep()
        path = self._choice()
        if path is None or not path.is_file():
            return None
        try:
            found = json.loads(path.read_text("utf-8"))
            times, batch_size = dict(found["milliseconds"]), int(found["batch_size"])
        except (OSError, ValueError, KeyError, TypeError):  # damaged: as if it were not there
            return None
        self._patience, self._batch_size = math.inf, batch_size
        return next((name for name in times if name in self._candidates()), None)

    def _record(self, times: dict[str, float]) -> None:
        path = self._choice()
        if path is not None:
            found = {"milliseconds": times, "batch_size": self._batch_size}
            try:
                write_bytes(path, json.dumps(found).encode())
            except OutputError as error:  # measured again next time; the images matter
                log.warning("the fastest runtime is not remembered: %s", error)

    def _tidy(self, names: Iterable[str]) -> None:
        """Removes what the runtimes keep that were tried and are not used."""
        folder, precision = self._setting.folder, self._setting.precision
        for name in names:
            if folder is not None and name != self.runtime:
                shutil.rmtree(folder / f"{name}-{precision}", ignore_errors=True)


def _started(name: str, setting: RuntimeSpec) -> Run | None:
    """The runtime, or none with one line that says why not.

    It keeps its files in a folder of its own below the setting's.
    """
    if not installed(name):
        log.warning(
            "runtime %r is not installed (pip install 'easyseg[%s]'); using 'plain'.",
            name,
            RUNTIMES[name].extra,
        )
        return None
    start: Callable[[RuntimeSpec], Run] = importlib.import_module(RUNTIMES[name].module).start
    if name == PLAIN:
        return start(setting)
    folder = setting.folder and setting.folder / f"{name}-{setting.precision}"
    places = [folder]
    if folder is not None:  # what is kept there may be damaged, or nothing can be
        places += [folder, None] if folder.is_dir() else [None]
    for i, place in enumerate(places):
        if i and folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            run = start(setting._replace(folder=place))
            run(np.zeros((1, *setting.size, 3), np.float32))  # some refuse only what they run
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  (other people's compilers raise anything)
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        else:
            return run
    log.warning("runtime %r fails (%s); going on without it.", name, reason[:200])
    return None
