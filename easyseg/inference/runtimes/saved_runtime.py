"""A runtime that starts without Keras, from the file that an earlier process compiled.

`optimize` writes a record, `runtimes/records/<key>.json` in the cache folder: for a model's files
and this machine, the runtime in use and where its file is.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import os
import threading
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from easyseg.errors import OutputError
from easyseg.inference.options import InferenceOptions
from easyseg.inference.runtimes import RUNTIMES, RuntimeSpec
from easyseg.inference.runtimes.hardware import package_versions, processor
from easyseg.inference.runtimes.start import runtime_folder
from easyseg.io.atomic import write_bytes
from easyseg.models.kerashub.config import KerasHubConfig
from easyseg.utils.documents import parse_json
from easyseg.utils.process import require_same_process
from easyseg.utils.threads import thread_count
from easyseg.weights.resolve import ModelSource

if TYPE_CHECKING:
    from easyseg.inference.runtimes.runner import Runner  # loads Keras

log = logging.getLogger(__name__)

NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")


class SavedRuntime:
    """A started runtime; it is used as `Runner` is, but cannot measure others.

    Args:
        path: A record, from `record_path`.

    Attributes:
        runtime: Its name.
        precision: One of `PRECISIONS`.
        batch_size: Images that take the least time together.
        stride: Pixels of the input between two logits.
        weights: `weights_checksum` of the model.
    """

    def __init__(self, path: Path) -> None:
        record = parse_json(path.read_text("utf-8"))
        name, self.precision = record["runtime"], record["precision"]
        folder = runtime_folder(path.parents[1] / record["folder"], name, self.precision)
        if not (folder / RUNTIMES[name].saved_file).is_file():
            raise FileNotFoundError(folder / RUNTIMES[name].saved_file)
        self.runtime: str | None = name
        self.batch_size, self.stride = record["batch_size"], record["stride"]
        self.weights = record["weights"]
        require_same_process()
        start = importlib.import_module(RUNTIMES[name].module).start
        self._forward = start(RuntimeSpec(None, record["input_size"], self.precision, folder))
        self._lock = threading.Lock()  # not every runtime can be called from two threads

    def start(self) -> None:
        """Does nothing: it is started already."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """`(N, H, W, 3)`, 0 to 255 -> `(N, h, w, classes) float32`."""
        with self._lock:
            return self._forward(images)


def start_saved(path: Path) -> SavedRuntime | None:
    """Starts the runtime of a record; `None` where there is none, or it cannot be started."""
    try:
        return SavedRuntime(path)
    except Exception as error:  # noqa: BLE001  (damaged files, other people's compilers)
        log.debug("no runtime starts without Keras: %s", error)
        return None


def record_path(home: Path, source: ModelSource, options: InferenceOptions) -> Path | None:
    """Path of a model's record below the cache folder; `None` if it cannot have one."""
    config = source.config
    if isinstance(config, KerasHubConfig):  # its logits lie between those of other networks
        return None
    if source.weights is None or options.averages or len(source.label_set) != config.num_classes:
        return None
    try:
        files = [
            (str(file.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
            for file in sorted(source.weights.parent.iterdir())
            if file.name.startswith(source.weights.name)
            for stat in [file.stat()]
        ]
    except OSError:
        return None
    # GPUs, as far as they are visible without TensorFlow
    gpus = sorted(path.name for path in NVIDIA_GPUS.iterdir()) if NVIDIA_GPUS.is_dir() else []
    key = [config.to_dict(), files, options.tile and int(options.tile), options.runtime,
           options.precision, package_versions(), processor(), thread_count(),
           [*gpus, os.environ.get("CUDA_VISIBLE_DEVICES", "")],
           os.environ.get("KERAS_BACKEND") or "tensorflow"]  # fmt: skip
    digest = hashlib.blake2b(json.dumps(key, sort_keys=True).encode(), digest_size=16)
    return home / "runtimes" / "records" / f"{digest.hexdigest()}.json"


def write_record(path: Path, runner: Runner, checksum: str) -> None:
    """Writes the record of a runtime in use, if it starts from a file of its own.

    Args:
        path: From `record_path`.
        runner: The runtime in use.
        checksum: `weights_checksum` of its model.
    """
    spec, name = runner.spec, runner.runtime
    if name is None or spec.folder is None or not RUNTIMES[name].saved_file:
        return
    record = {
        "runtime": name,
        "folder": spec.folder.name,
        "input_size": spec.input_size,
        "precision": spec.precision,
        "batch_size": runner.batch_size,
        "stride": runner.stride,
        "weights": checksum,
    }
    try:
        write_bytes(path, json.dumps(record).encode())
    except OutputError as error:
        log.warning("the runtime is not remembered: %s", error)


def weights_checksum(model: Any) -> str:
    """CRC-32 of a Keras model's weights, in hexadecimal digits."""
    checksum = 0
    for values in model.get_weights():
        checksum = zlib.crc32(values.tobytes(), checksum)
    return f"{checksum:08x}"
