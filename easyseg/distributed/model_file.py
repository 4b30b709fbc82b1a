"""A model's file on the computer that segments: downloaded once, by one process at a time."""

from __future__ import annotations

import hashlib
import os
from pathlib import PurePosixPath

from filelock import FileLock

from easyseg.errors import WeightsError, show_path
from easyseg.io.atomic import write_bytes
from easyseg.io.remote import is_object, read_object
from easyseg.utils.files import system_errors
from easyseg.weights.bundle import EMBEDDED
from easyseg.weights.cache import cache_home
from easyseg.weights.exported import weights_sha256
from easyseg.weights.manifest import weight_sets

LARGEST_MODEL = 4 << 30  # bytes


def absolute_model(model: str) -> str:
    """The model as processes with other working directories must be told."""
    named = "://" in model or model in (*EMBEDDED, *weight_sets()) or not os.path.exists(model)  # noqa: PTH110
    return model if named else os.path.abspath(model)  # noqa: PTH100  (links stay)


def local_model(model: str, sha256: str | None, cache_dir: str | os.PathLike[str] | None) -> str:
    """The model itself; of one in an object store, its copy in the cache of this computer.

    Args:
        model: A name, path or URL.
        sha256: That the copy must have; `None` to download it again.
        cache_dir: Folder for downloads.

    Raises:
        WeightsError: It cannot be downloaded, or has another SHA-256.
    """
    if not is_object(model):
        return model
    home, name = cache_home(cache_dir), PurePosixPath(model).name
    key = hashlib.sha256(model.encode()).hexdigest()[:16]
    path = home / "remote" / key / name
    (home / "locks").mkdir(parents=True, exist_ok=True)
    with system_errors(WeightsError, path), FileLock(home / "locks" / f"{key}.lock"):
        if sha256 is None or not path.is_file() or weights_sha256(path) != sha256:
            content = _download(model)
            found = hashlib.sha256(content).hexdigest()
            if sha256 not in (None, found):
                raise WeightsError(
                    f"{show_path(model)} has the SHA-256 {found[:12]}..., expected "
                    f"{str(sha256)[:12]}...: it was replaced in the meantime. Start again."
                )
            write_bytes(path, content)
    return str(path)


def _download(uri: str) -> bytes:
    try:
        return read_object(uri, LARGEST_MODEL)
    except OSError as error:  # an ImageError: it is no image here
        raise WeightsError(str(error).replace("Cannot read", "Cannot download", 1)) from error
