"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import uuid
from collections.abc import Iterator
from pathlib import Path

from easyseg.errors import OutputError, os_reason

__all__ = ["output_errors", "temporary_path", "write_bytes"]


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file under a temporary name and renames it, so that readers see all or nothing.

    Raises:
        OutputError: It cannot be written. Nothing of it is left.
    """
    temporary = None
    try:
        with output_errors(path):
            temporary = temporary_path(path)
            with temporary.open("xb") as file:
                file.write(content)
            temporary.replace(path)
            temporary = None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def temporary_path(path: Path) -> Path:
    """An unused name in the folder of `path`, for an incomplete file; creates the folder."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "It is a folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.stem[:40]}-{uuid.uuid4().hex[:8]}.part")


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turns a system error while writing `path` into an `OutputError` that names it."""
    try:
        yield
    except OutputError:  # it names its path already
        raise
    except OSError as error:
        reason = os_reason(error)
        if isinstance(error, FileNotFoundError):  # folders are created; /proc takes no files
            reason = "the system allows no files there"
        raise OutputError(
            f"Cannot write {path}: {reason}. Choose another output path or free disk space."
        ) from error
