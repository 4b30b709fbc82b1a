"""Where runtimes save what they compiled for a network on this machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from easyseg.errors import OutputError
from easyseg.inference.runtimes.hardware import (
    gpu_names,
    has_onednn,
    package_versions,
    processor,
)
from easyseg.io.atomic import write_bytes
from easyseg.utils.threads import thread_count

__all__ = [
    "Measurement",
    "exclusive",
    "network_folder",
    "read_measurement",
    "read_or_create",
    "save_measurement",
]

log = logging.getLogger(__name__)


class Measurement(NamedTuple):
    """What `optimize` measured for a network and a precision.

    Attributes:
        milliseconds: For an image by runtime, fastest first.
        batch_size: Images that take the least time together in the fastest runtime.
    """

    milliseconds: dict[str, float]
    batch_size: int


def network_folder(home: Path, network: Any, input_size: tuple[int, int]) -> Path:
    """A folder below `home` for this network, its weights, these packages and this machine."""
    from easyseg._keras import backend  # noqa: PLC0415

    key = [
        package_versions(),
        backend(),
        has_onednn(),
        processor(),
        gpu_names(),
        thread_count(),
        input_size,
        _architecture(network),
    ]
    digest = hashlib.blake2b(json.dumps(key, sort_keys=True).encode(), digest_size=16)
    for variable in network.weights:
        digest.update(memoryview(variable.numpy()).cast("B"))
    return home / "runtimes" / digest.hexdigest()


def _architecture(network: Any) -> str:
    """The network's JSON, with numbers for the names of layers, which differ between processes."""
    text = str(network.to_json())
    for number, operation in enumerate(getattr(network, "operations", ())):
        text = text.replace(json.dumps(operation.name), f'"#{number}"')
    return text


def read_or_create(folder: Path | None, name: str, create: Callable[[], bytes]) -> bytes:
    """Reads a file of the folder; creates it if it is missing. Without a folder, only creates."""
    path = folder and folder / name
    if path is not None and path.is_file():
        return path.read_bytes()
    content = create()
    if path is not None:
        write_bytes(path, content)
    return content


def read_measurement(folder: Path | None, precision: str) -> Measurement | None:
    """What was saved in the network's folder; `None` if it is missing or damaged."""
    if folder is None:
        return None
    try:
        saved = json.loads(_measurement_file(folder, precision).read_text("utf-8"))
        return Measurement(dict(saved["milliseconds"]), int(saved["batch_size"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_measurement(folder: Path, precision: str, measured: Measurement) -> None:
    """Saves it in the network's folder; if that is not possible, a line in the log says why."""
    try:
        write_bytes(_measurement_file(folder, precision), json.dumps(measured._asdict()).encode())
    except OutputError as error:
        log.warning("the fastest runtime is not remembered: %s", error)


def _measurement_file(folder: Path, precision: str) -> Path:
    return folder / f"fastest-{precision}.json"


@contextlib.contextmanager
def exclusive(home: Path | None) -> Iterator[None]:
    """Waits until no other process times runtimes or removes their files below `home`."""
    with contextlib.ExitStack() as stack:
        if home is not None:
            with contextlib.suppress(OSError):  # a cache that cannot be written needs no lock
                (home / "locks").mkdir(parents=True, exist_ok=True)
                stack.enter_context(FileLock(home / "locks" / "runtimes.lock"))
        yield
