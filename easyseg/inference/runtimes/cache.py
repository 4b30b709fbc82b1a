"""Where runtimes save what they compiled for a network on this machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from easyseg.inference.runtimes.hardware import (
    gpu_names,
    has_onednn,
    package_versions,
    processor,
)
from easyseg.io.atomic import write_bytes
from easyseg.utils.threads import thread_count


def network_folder(home: Path, network: Any, input_size: tuple[int, int]) -> Path:
    """A folder below `home` for this network, its weights, these packages and this machine."""
    from easyseg._keras import backend  # noqa: PLC0415

    architecture = str(network.to_json())
    for number, operation in enumerate(getattr(network, "operations", ())):
        # the names of layers differ between processes
        architecture = architecture.replace(json.dumps(operation.name), f'"#{number}"')
    key = [package_versions(), backend(), has_onednn(), processor(), gpu_names(), thread_count(),
           input_size, architecture]  # fmt: skip
    digest = hashlib.blake2b(json.dumps(key, sort_keys=True).encode(), digest_size=16)
    for variable in network.weights:
        digest.update(memoryview(variable.numpy()).cast("B"))
    return home / "runtimes" / digest.hexdigest()


def read_or_create(folder: Path | None, name: str, create: Callable[[], bytes]) -> bytes:
    """Reads a file of the folder; creates it if it is missing. Without a folder, only creates."""
    path = folder and folder / name
    if path is not None and path.is_file():
        return path.read_bytes()
    content = create()
    if path is not None:
        write_bytes(path, content)
    return content


@contextlib.contextmanager
def exclusive(home: Path | None) -> Iterator[None]:
    """Waits until no other process times runtimes or removes their files below `home`."""
    with contextlib.ExitStack() as stack:
        if home is not None:
            with contextlib.suppress(OSError):  # a cache that cannot be written needs no lock
                (home / "locks").mkdir(parents=True, exist_ok=True)
                stack.enter_context(FileLock(home / "locks" / "runtimes.lock"))
        yield
