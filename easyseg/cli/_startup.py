"""What the command line changes in its own process; importing easyseg changes nothing."""

from __future__ import annotations

import io
import os
import sys

from easyseg.utils.allocator import keep_freed_memory
from easyseg.utils.streams import forgiving_stream
from easyseg.utils.threads import thread_count

THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "OPENCV_FOR_THREADS_NUM")


def prepare_process() -> None:
    """Keeps freed memory, and limits the threads of libraries that are not loaded yet.

    Variables that the user has set stay. Printing never fails: what a terminal or pipe cannot show
    is escaped, and what goes to a closed or full one is dropped.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):  # another program's
            continue
        stream.reconfigure(errors="backslashreplace")
        if type(getattr(stream.buffer, "raw", stream.buffer)) is io.FileIO:
            stream.flush()
            setattr(sys, name, forgiving_stream(stream.fileno(), like=stream))
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        # closed ones; in this order, so that no other file gets its number
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    keep_freed_memory()
    count = thread_count()
    if count < (os.cpu_count() or 1):
        for name in THREAD_VARIABLES:
            os.environ.setdefault(name, str(count))


def printing_error() -> OSError | None:
    """Why not all of the output could be printed; `None` if it was, or nobody reads it anymore."""
    sys.stdout.flush()
    file = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    error = getattr(file, "error", None)
    return None if isinstance(error, BrokenPipeError) else error
