"""Exported files and choices of runtimes in the cache folder, by model and machine.

runtimes/<model>/network.onnx          the model, for one input size
runtimes/<model>/<runtime>-int8.blob   what a runtime compiled
runtimes/<model>/choice-float32.json   the runtime that `optimize` measured to be fastest
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

import easyseg
from easyseg.errors import OutputError
from easyseg.inference.runtimes import AUTO
from easyseg.inference.runtimes.hardware import nvidia_cards, package_versions, processor
from easyseg.io.atomic import write_bytes
from easyseg.utils.documents import parse_json
from easyseg.utils.files import real_path
from easyseg.utils.threads import thread_count
from easyseg.weights.checksum import weights_checksum
from easyseg.weights.resolve import ModelSource

log = logging.getLogger(__name__)

NETWORK = "network"  # and the extension of its format


class Choice(NamedTuple):
    """What `optimize` measured.

    Attributes:
        milliseconds: For an image by runtime, fastest first.
        batch_size: Images that take the least time together.
    """

    milliseconds: dict[str, float]
    batch_size: int


def folder_of_files(home: Path, source: ModelSource, input_size: tuple[int, int]) -> Path | None:
    """The folder of a model in files, without reading them; `None` if they are not there."""
    if source.weights is None:
        return None
    try:
        files = [
            (str(real_path(file)), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
            for file in sorted(source.weights.parent.iterdir())
            if file.name.startswith(source.weights.name)
            for stat in [file.stat()]
        ]
    except OSError:
        return None
    return _folder(home, [repr(source.config), files, input_size])


def folder_of_network(home: Path, network: Any, input_size: tuple[int, int]) -> Path:
    """The folder of a Keras model, by its architecture and weights."""
    architecture = str(network.to_json())
    for number, operation in enumerate(getattr(network, "operations", ())):
        # the names of layers differ between processes
        architecture = architecture.replace(json.dumps(operation.name), f'"#{number}"')
    return _folder(home, [architecture, weights_checksum(network), input_size])


def read_choice(folder: Path | None, precision: str, device: str) -> Choice | None:
    """What was measured on this machine with these packages, if it was."""
    try:
        values = (
            parse_json((folder / _choice(precision, device)).read_text("utf-8")) if folder else {}
        )
        if values["machine"] != _machine():
            return None
        return Choice(dict(values["milliseconds"]), int(values["batch_size"]))
    except (OSError, ValueError, LookupError, TypeError):  # missing or damaged
        return None


def write_choice(folder: Path, precision: str, device: str, choice: Choice) -> None:
    """Remembers what was measured; that it cannot is logged."""
    values = {**choice._asdict(), "machine": _machine()}
    try:
        write_bytes(folder / _choice(precision, device), json.dumps(values).encode())
    except OutputError as error:
        log.warning("the fastest runtime is not remembered: %s", error)


@contextlib.contextmanager
def exclusive(home: Path) -> Iterator[None]:
    """Waits until no other process times runtimes below `home`."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a cache that cannot be written needs no lock
            (home / "locks").mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(home / "locks" / "runtimes.lock"))
        yield


def _choice(precision: str, device: str) -> str:
    suffix = "" if device == AUTO else f"-{device.replace(':', '')}"
    return f"choice-{precision}{suffix}.json"


def _folder(home: Path, key: list[Any]) -> Path:
    text = json.dumps([easyseg.__version__, *key], sort_keys=True)
    return home / "runtimes" / hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _machine() -> str:
    """What a measurement depends on."""
    return json.dumps([package_versions(), processor(), nvidia_cards(), thread_count()])
