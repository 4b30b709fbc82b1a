"""Where runtimes keep what they compiled for a network on this machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from easyseg.io.atomic import write_bytes
from easyseg.utils.threads import thread_count

__all__ = ["alone", "has_bfloat16", "has_onednn", "kept", "network_folder", "packages", "processor"]

PACKAGES = ("easyseg", "tensorflow", "keras", "openvino", "nncf", "onnxruntime",
            "tf2onnx", "ai-edge-litert")  # fmt: skip
CPU_INFO = Path("/proc/cpuinfo")


def network_folder(home: Path, network: Any, size: tuple[int, int]) -> Path:
    """A folder below `home` for this network with these weights, these packages, this machine."""
    from easyseg._keras import backend  # noqa: PLC0415

    digest = hashlib.blake2b(digest_size=16)
    about = [
        packages(),
        backend(),
        has_onednn(),
        processor(),
        graphics_cards(),
        thread_count(),
        size,
        _wiring(network),
    ]
    digest.update(json.dumps(about, sort_keys=True).encode())
    for variable in network.weights:
        digest.update(memoryview(variable.numpy()).cast("B"))
    return home / "runtimes" / digest.hexdigest()


def _wiring(network: Any) -> str:
    """The network's JSON with numbers for its operations' names, which differ between processes."""
    text = str(network.to_json())
    for number, operation in enumerate(getattr(network, "operations", ())):
        text = text.replace(json.dumps(operation.name), f'"#{number}"')
    return text


def packages() -> dict[str, str | None]:
    """Versions of what makes and runs networks."""
    return {package: _version(package) for package in PACKAGES}


def kept(folder: Path | None, name: str, make: Callable[[], bytes]) -> bytes:
    """What an earlier start wrote to a file, or else what `make` gives, written to it."""
    path = folder and folder / name
    if path is not None and path.is_file():
        return path.read_bytes()
    content = make()
    if path is not None:
        write_bytes(path, content)
    return content


@contextlib.contextmanager
def alone(home: Path | None, *, wait: bool = True) -> Iterator[bool]:
    """Keeps other processes from measuring, and from removing what this one makes.

    Args:
        home: The cache folder.
        wait: For a process that is at it; else what is given is whether there is none.
    """
    if home is None:
        yield True
        return
    lock = FileLock(home / "locks" / "runtimes.lock")
    try:
        (home / "locks").mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=wait)
    except Timeout:
        yield False
        return
    except OSError:  # a cache that cannot be written holds nothing to protect
        yield True
        return
    try:
        yield True
    finally:
        lock.release()


def processor() -> tuple[str, ...]:
    """The processor's model and what it can do."""
    try:
        lines = CPU_INFO.read_text("utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return (platform.machine(), platform.processor())
    return tuple(line for line in lines if line.startswith(("model name", "flags", "Features")))


def graphics_cards() -> list[str]:
    """The GPUs that TensorFlow sees, by what they are called."""
    import tensorflow as tf  # noqa: PLC0415

    return [
        str(tf.config.experimental.get_device_details(card).get("device_name", card.name))
        for card in tf.config.list_physical_devices("GPU")
    ]


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 faster than float32 (AMX or AVX512-BF16)."""
    return any(flag in line.split() for line in processor() for flag in ("amx_bf16", "avx512_bf16"))


def has_onednn() -> bool:
    """Whether TensorFlow uses oneDNN's kernels: it is built with them, and they are not off."""
    from tensorflow.python.util import _pywrap_util_port  # noqa: PLC0415

    return bool(_pywrap_util_port.IsMklEnabled())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
