"""Progress bars that other lines on the terminal do not tear."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO

from tqdm import tqdm

from easyseg.utils.streams import forgiving_stream

STDERR = 2  # the file descriptor
_redirecting = threading.Lock()  # it is the process's: one bar at a time


@contextlib.contextmanager
def progress_bar(shown: bool, total: int | None, unit: str) -> Iterator[Any]:
    """A bar of tqdm on stderr; with `shown=False` it does nothing.

    Meanwhile what anyone writes to stderr, C libraries past Python's streams too, goes above it,
    line by line.
    """
    redirects = shown and _is_process_stderr() and _redirecting.acquire(blocking=False)
    if not redirects:
        with tqdm(total=total, unit=unit, disable=not shown) as bar:
            yield bar
        return
    try:
        with (
            forgiving_stream(os.dup(STDERR), closes=True) as terminal,
            tqdm(total=total, unit=unit, file=terminal) as bar,
            _lines_above(terminal),  # the last of them before the bar ends
        ):
            yield bar
    finally:
        _redirecting.release()


@contextlib.contextmanager
def _lines_above(terminal: TextIO) -> Iterator[None]:
    """Sends stderr through a pipe, whose lines tqdm writes above its bars on the terminal."""
    end, start = os.pipe()
    thread = threading.Thread(target=_write_above, args=(end, terminal), daemon=True)
    _redirect_stderr(start)
    os.close(start)
    thread.start()
    try:
        yield
    finally:
        _redirect_stderr(terminal.fileno())
        thread.join(timeout=1)  # a child process may hold the pipe


def _is_process_stderr() -> bool:
    """Whether Python's stderr is the process's: notebooks and tests replace it."""
    try:
        return sys.stderr.fileno() == STDERR
    except (OSError, AttributeError, ValueError):
        return False


def _redirect_stderr(descriptor: int) -> None:
    sys.stderr.flush()
    os.dup2(descriptor, STDERR)


def _write_above(end: int, terminal: TextIO) -> None:
    with open(end, errors="backslashreplace") as lines:
        for line in lines:
            tqdm.write(line.rstrip("\n"), file=terminal)
