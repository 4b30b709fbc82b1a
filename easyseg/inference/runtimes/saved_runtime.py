"""The first image without Keras: a runtime starts from what an earlier process compiled.

`optimize` leaves a note, runtimes/ready/<key>.json in the cache, which says for a model's files and
this machine which runtime was chosen and where its file lies.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import logging
import os
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from easyseg.errors import OutputError
from easyseg.inference.runtimes import AUTO, RUNTIMES, Run, RuntimeSpec, installed
from easyseg.inference.runtimes.cache import packages, processor
from easyseg.io.atomic import write_bytes
from easyseg.utils.threads import limit_opencv, thread_count

__all__ = ["Note", "Ready", "checksum", "forget", "note_path", "remember", "start"]

log = logging.getLogger(__name__)

CARDS = Path("/proc/driver/nvidia/gpus")


class Note(NamedTuple):
    """What is remembered of a runtime.

    Attributes:
        runtime: Its name.
        folder: Of the network, below runtimes/.
        batch_size: Images that it likes to have together.
        stride: Of the logits.
        weights: A checksum of the model's weights.
    """

    runtime: str
    folder: str
    batch_size: int
    stride: int
    weights: str


class Ready:
    """A runtime at work: what `Runner` is, for those who do not measure."""

    def __init__(self, run: Run, note: Note, precision: str) -> None:
        self.runtime, self.batch_size, self.precision = note.runtime, note.batch_size, precision
        self.stride, self.weights = note.stride, note.weights
        self._run = run
        self._lock = threading.Lock()  # not every runtime can be called from two threads

    def start(self) -> None:
        """Nothing is left to start."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """`(N, H, W, 3)`, 0 to 255 -> `(N, h, w, classes) float32`."""
        with self._lock:
            return self._run(images)


def note_path(
    home: Path, config: dict[str, Any], weights: Path, size: tuple[int, int], *asked: str
) -> Path | None:
    """Where the note on a model lies; `None` if its files cannot be seen.

    Args:
        home: The cache folder.
        config: The network, as JSON has it.
        weights: A file, or what the names of a checkpoint's files begin with.
        size: `(height, width)` of the images.
        *asked: Runtime and precision.
    """
    try:
        files = [
            (str(file.resolve()), seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
            for file in sorted(weights.parent.iterdir())
            if file.name.startswith(weights.name)
            for seen in [file.stat()]
        ]
    except OSError:
        return None
    about = [config, files, size, asked, packages(), processor(), thread_count(), _cards(),
             os.environ.get("KERAS_BACKEND") or "tensorflow"]  # fmt: skip
    digest = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=16)
    return home / "runtimes" / "ready" / f"{digest.hexdigest()}.json"


def _cards() -> list[str]:
    """NVIDIA's graphics cards, as far as they can be seen without TensorFlow."""
    cards = sorted(path.name for path in CARDS.iterdir()) if CARDS.is_dir() else []
    return [*cards, os.environ.get("CUDA_VISIBLE_DEVICES", "")]


def checksum(model: Any) -> str:
    """Of a Keras model's weights."""
    found = 0
    for values in model.get_weights():
        found = zlib.crc32(values.tobytes(), found)
    return f"{found:08x}"


def remember(path: Path, note: Note) -> None:
    """Writes the note."""
    try:
        write_bytes(path, json.dumps(note._asdict()).encode())
    except OutputError as error:  # slower next time; the images matter
        log.warning("the runtime is not remembered: %s", error)


def forget(path: Path) -> None:
    """Removes a note, if there is one."""
    with contextlib.suppress(OSError):
        path.unlink()


def start(path: Path, size: tuple[int, int], runtime: str, precision: str) -> Ready | None:
    """The runtime of a note; `None` where anything stands against it, and Keras must help."""
    try:
        note = Note(**json.loads(path.read_text("utf-8")))
        row = RUNTIMES[note.runtime]
        folder = path.parents[1] / note.folder / f"{note.runtime}-{precision}"
        if runtime not in (AUTO, note.runtime) or not (folder / row.keeps).is_file():
            return None
        if not installed(note.runtime):
            return None
        begin: Callable[[RuntimeSpec], Run] = importlib.import_module(row.module).start
        run = begin(RuntimeSpec(None, size, precision, folder))
    except Exception as error:  # noqa: BLE001  (damaged files, other people's compilers)
        log.debug("no runtime starts without Keras: %s", error)
        return None
    limit_opencv()
    return Ready(run, note, precision)
