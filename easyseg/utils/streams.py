"""Text streams to a terminal, pipe or file that never fail."""

from __future__ import annotations

import io
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class ForgivingFile(io.FileIO):
    """A file that drops what cannot be written to it.

    Attributes:
        error: The first reason, or `None`.
    """

    error: OSError | None = None

    def write(self, content: ReadableBuffer, /) -> int:
        """Writes what it can, waiting where that is full for now; the rest counts as written."""
        try:
            while (written := super().write(content)) is None:
                select.select([], [self], [])
        except OSError as error:
            self.error = self.error or error
            return memoryview(content).nbytes
        return written


def forgiving_stream(
    descriptor: int, like: io.TextIOWrapper | None = None, *, closes: bool = False
) -> io.TextIOWrapper:
    """A text stream that escapes what its encoding lacks and drops what cannot be written.

    Args:
        descriptor: Of a file that is open for writing.
        like: A stream with its encoding and buffering; `None` for the system's encoding.
        closes: Whether closing the stream closes the descriptor.
    """
    return io.TextIOWrapper(
        io.BufferedWriter(ForgivingFile(descriptor, "w", closefd=closes)),
        None if like is None else like.encoding,
        errors="backslashreplace",
        line_buffering=like is not None and like.line_buffering,
        write_through=like is not None and like.write_through,
    )
