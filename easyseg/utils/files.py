"""Reading a whole file that may be anything, and what the system says of files."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from easyseg.errors import EasysegError, os_reason, show_path


def require_ordinary(path: str | os.PathLike[str]) -> int:
    """The size in bytes of what is no pipe and no device, which would be read for ever.

    Raises:
        OSError: It is one, or there is nothing at `path`.
    """
    status = os.stat(path)  # noqa: PTH116  (of strings too)
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise OSError(errno.EINVAL, "It is a pipe or a device")
    return status.st_size


def read_file(path: str | os.PathLike[str], most: int) -> bytes:
    """The content of an ordinary file of at most `most` bytes.

    Raises:
        OSError: It is none, is larger (sparse files have any size), or cannot be opened.
    """
    if require_ordinary(path) > most:
        raise OSError(errno.EFBIG, f"It has more than {most / 2**20:g} MiB")
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read(most)


@contextlib.contextmanager
def system_errors(kind: type[EasysegError], path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns a system error about `path`, or about a file in it, into one of easyseg's."""
    try:
        yield
    except EasysegError:
        raise
    except OSError as error:
        name = error.filename if isinstance(error.filename, (str, bytes)) else path
        raise kind(
            f"{show_path(name)} cannot be read: {os_reason(error)}; check its permissions."
        ) from error


def real_path(path: str | os.PathLike[str]) -> Path:
    """The absolute path without links; unlike `Path.resolve` also of links in a circle."""
    return Path(os.path.realpath(path))
