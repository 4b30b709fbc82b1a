"""Videos from pipes, whose reading Ctrl-C and signals can end."""

from __future__ import annotations

from pathlib import Path

__all__ = ["Pipe"]


class Pipe:
    """A pipe, opened and read by Python rather than by FFmpeg, which would wait on.

    PyAV ignores what is raised while it calls `read`: the pipe ends there, and `check` raises it.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._error: BaseException | None = None
        self._file = path.open("rb", buffering=0)

    def read(self, size: int) -> bytes:
        """As much as there is; empty at the end."""
        try:
            return (self._file.read(size) or b"") if self._error is None else b""
        except BaseException as error:  # noqa: BLE001  (raised by `check`)
            self._error = error
            return b""

    def check(self) -> None:
        """Raises what ended the pipe early, such as KeyboardInterrupt."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Closes the pipe."""
        self._file.close()
