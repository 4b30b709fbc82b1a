"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import platform
import re
import shutil
import sys
import tempfile
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from easyseg.errors import EasysegError, OutputError, os_reason
from easyseg.utils.files import require_ordinary


def _host() -> str:
    """A number for those processes that see each other by their ids.

    A folder may be shared by computers, and containers of one computer and one name (as with
    Kubernetes's hostNetwork) have ids of their own.
    """
    words = [platform.node()]
    with contextlib.suppress(OSError):  # of Linux; many computers are called localhost
        words.append(Path("/etc/machine-id").read_text("utf-8").strip())
    with contextlib.suppress(OSError):
        words.append(str(Path("/proc/self/ns/pid").readlink()))
    return f"{zlib.crc32(' '.join(words).encode()):08x}"


HOST = _host()
LEFTOVER = re.compile(r"\..*-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.part")


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file as `new_file` does.

    What killed processes left in its folder is removed when this process first writes there.

    Raises:
        OutputError: It cannot be written. Nothing of it is left.
    """
    with new_file(path) as file:
        file.write(content)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file with a temporary name that is renamed at the end, so that readers see all or nothing.

    Raises:
        OutputError: It cannot be written. Nothing of it is left, nor where the block raises.
    """
    with output_errors(path):
        temporary = temporary_path(path)
        _remove_leftovers_once(path.parent)
        try:
            with temporary.open("xb") as file:
                yield file
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def temporary_path(path: Path) -> Path:
    """An unused name in the folder of `path`, for an incomplete file; creates the folder."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "It is a folder")
    if path.exists():
        require_ordinary(path)  # the new file would take its place
    path.parent.mkdir(parents=True, exist_ok=True)
    return part_path(path)


def part_path(path: Path) -> Path:
    """A name beside `path` for what is incomplete, which says whose it is."""
    return path.with_name(f".{path.stem[:40]}-{HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}.part")


def find_leftovers(folder: Path, *, any_host: bool = False) -> list[Path]:
    """Incomplete files and folders in `folder` of processes of this computer that were killed.

    With `any_host` also those of all processes of other computers, running ones included.
    """
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.name[0] == "."]
    except OSError:
        return []
    found = ((name, LEFTOVER.fullmatch(name)) for name in names)
    return [
        folder / name
        for name, m in found
        if m and (any_host if m[1] != HOST else not _is_alive(int(m[2])))
    ]


def remove_leftovers(folder: Path) -> None:
    """Removes those of this computer; called where a run begins to write."""
    for path in find_leftovers(folder):
        remove(path)


_remove_leftovers_once = functools.lru_cache(maxsize=1000)(remove_leftovers)


def remove(path: Path) -> None:
    """Removes a folder, a file or a link, or as much of it as can be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


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
def temporary_folder() -> Iterator[Path]:
    """A folder among the system's temporary files; removes those that killed processes left."""
    place = Path(tempfile.gettempdir())
    remove_leftovers(place)
    folder = part_path(place / "easyseg")
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        remove(folder)


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turns a system error while writing `path` into an `OutputError` that names it."""
    try:
        yield
    except EasysegError:  # it names its path already
        raise
    except OSError as error:
        reason = os_reason(error)
        if isinstance(error, FileNotFoundError):  # folders are created; /proc takes no files
            reason = "the system allows no files there"
        raise OutputError(
            f"Cannot write {path}: {reason}. Choose another output path or free disk space."
        ) from error


def exchange_folder(new: Path, target: Path) -> None:
    """Puts the folder `new` in the place of `target`; the old one, if any, lies at `new` then.

    There is no moment without a folder at `target`. Where the system cannot exchange two names,
    there is one, after which `restore_folder` finds the old one.

    Raises:
        OSError: Nothing has changed.
    """
    if not target.exists():
        new.replace(target)
    elif not _exchange(new, target):
        kept = _kept(target)
        remove(kept)
        target.replace(kept)
        try:
            new.replace(target)
        except OSError:
            kept.replace(target)
            raise
        kept.replace(new)


def restore_folder(target: Path) -> None:
    """Brings back the folder of an `exchange_folder` that was killed halfway, if there is one."""
    if not target.exists() and (kept := _kept(target)).is_dir():
        with contextlib.suppress(OSError):  # another process was faster
            kept.rename(target)


def _kept(target: Path) -> Path:
    return target.with_name(f".{target.name}.kept")


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names at once; false where the system or its file system cannot."""
    names, swap, here = (os.fsencode(one), os.fsencode(other)), 2, -100  # of Linux's fcntl.h
    try:
        system = ctypes.CDLL(None)
        if sys.platform == "darwin":
            return bool(system.renamex_np(*names, swap) == 0)
        return bool(system.renameat2(here, names[0], here, names[1], swap) == 0)
    except (AttributeError, OSError, TypeError):
        return False
