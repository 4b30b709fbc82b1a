"""Starts a runtime, whatever state its saved files are in."""

from __future__ import annotations

import importlib
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from easyseg.errors import InputError
from easyseg.inference.runtimes import KERAS, RUNTIMES, Forward, RuntimeSpec, installed

__all__ = ["runtime_folder", "start_all", "start_runtime"]

log = logging.getLogger(__name__)


def runtime_folder(folder: Path, runtime: str, precision: str) -> Path:
    """Where a runtime saves its files, below the network's folder."""
    return folder / f"{runtime}-{precision}"


def start_all(
    names: Sequence[str], spec: RuntimeSpec, images: Sequence[np.ndarray]
) -> dict[str, Forward]:
    """Those of the runtimes that start; "int8" is calibrated with the images, if there are any."""
    if spec.precision == "int8":
        spec = spec._replace(calibration_images=tuple(images))
    started = {name: start_runtime(name, spec) for name in names}
    return {name: forward for name, forward in started.items() if forward is not None}


def start_runtime(name: str, spec: RuntimeSpec) -> Forward | None:
    """Starts a runtime and tries it with an image.

    It saves its files in a folder of its own below `spec.folder`; damaged files are replaced.

    Returns:
        A function from images to logits; `None`, with a line in the log, where the runtime is not
        installed or fails.

    Raises:
        InputError: The precision is "int8", which is not calibrated.
    """
    from easyseg._keras import keras_defaults  # noqa: PLC0415  (`saved_runtime` goes without)

    if not installed(name):
        log.warning("runtime %r is not installed (pip install 'easyseg[%s]').", name, name)
        return None
    start: Callable[[RuntimeSpec], Forward] = importlib.import_module(RUNTIMES[name].module).start
    if name == KERAS:
        return start(spec)
    folder = spec.folder and runtime_folder(spec.folder, name, spec.precision)
    attempts = [folder]
    if folder is not None:  # its files may be damaged, or it cannot be written
        attempts += [folder, None] if folder.is_dir() else [None]
    for number, attempt in enumerate(attempts):
        if number and folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            with keras_defaults():
                forward = start(spec._replace(folder=attempt))
                forward(np.zeros((1, *spec.input_size, 3), np.float32))  # some fail only here
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  (other people's compilers raise anything)
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        else:
            return forward
    log.warning("runtime %r fails (%s); it is not used.", name, reason[:200])
    return None
