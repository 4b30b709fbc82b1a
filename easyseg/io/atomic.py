"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import shutil
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path

from easyseg.errors import OutputError, os_reason

__all__ = ["find_leftovers", "output_errors", "remove_leftovers", "temporary_path", "write_bytes"]

# a folder may be shared by computers, each of which knows its own processes alone
HOST = f"{zlib.crc32(platform.node().encode()):08x}"
LEFTOVER = re.compile(r"\..*-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.part")


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
    return path.with_name(f".{path.stem[:40]}-{HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}.part")


def find_leftovers(folder: Path) -> list[Path]:
    """Incomplete files and folders in `folder` of processes of this computer that were killed."""
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.name[0] == "."]
    except OSError:
        return []
    found = ((name, LEFTOVER.fullmatch(name)) for name in names)
    return [folder / name for name, m in found if m and m[1] == HOST and not _is_alive(int(m[2]))]


def remove_leftovers(folder: Path) -> None:
    """Removes them; called where a run begins to write."""
    for path in find_leftovers(folder):
        with contextlib.suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # there os.kill ends a process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


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
