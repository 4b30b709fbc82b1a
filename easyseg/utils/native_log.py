"""Log lines of other libraries, of which the native ones write past all settings of Python."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from easyseg.utils.streams import forgiving_stream

STDERR = 2  # the file descriptor
LOG_LINE = re.compile(  # of absl, of TensorFlow, and lines that belong to theirs
    rb"[IWE]\d{4} \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] "
    rb"|WARNING: All log messages before absl::|To enable the following instructions:"
    rb"|INFO: Created TensorFlow Lite XNNPACK delegate"
)


@contextlib.contextmanager
def filter_native_log() -> Iterator[Callable[[], None]]:
    """Holds stderr back, and writes it at the end without native log lines.

    After an error everything is written, unless the function that this gives was called: it drops
    what has been held back until then. Where there is a GPU, errors and warnings of native
    libraries are written too: they may say why it is not used.
    """
    try:
        terminal = os.dup(STDERR)
    except OSError:  # a process without stderr
        yield lambda: None
        return
    with tempfile.TemporaryFile() as held, forgiving_stream(terminal, closes=True) as stderr:
        _redirect(held.fileno())
        failed = False

        def drop() -> None:
            _redirect(held.fileno())
            held.seek(0)  # for stderr too, which is the same file
            held.truncate()

        try:
            yield drop
        except Exception:
            failed = True
            raise
        finally:
            _redirect(stderr.fileno())
            held.seek(0)
            kept = (line for line in held if failed or not _is_noise(line))
            stderr.buffer.write(b"".join(kept))


@contextlib.contextmanager
def only_errors(*names: str | None) -> Iterator[None]:
    """Lets these loggers of Python (`None`: the root) pass errors alone."""
    with _level(logging.ERROR, names):
        yield


@contextlib.contextmanager
def silent(*names: str) -> Iterator[None]:
    """Lets these loggers pass nothing, where an error of easyseg's own says it."""
    with _level(logging.CRITICAL + 1, names):
        yield


@contextlib.contextmanager
def _level(level: int, names: Iterable[str | None]) -> Iterator[None]:
    levels = {logger: logger.level for logger in map(logging.getLogger, names)}
    for logger in levels:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, before in levels.items():
            logger.setLevel(before)


def _redirect(descriptor: int) -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
    os.dup2(descriptor, STDERR)


def _is_noise(line: bytes) -> bool:
    is_log = LOG_LINE.match(line) is not None
    return is_log and (line.startswith(b"I") or b": I " in line[:40] or not _has_gpu())


def _has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()  # or of WSL
