"""What the command line changes in its own process; importing easyseg changes nothing."""

from __future__ import annotations

import io
import os
import sys

from easyseg.utils.allocator import keep_freed_memory
from easyseg.utils.threads import thread_count

THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "OPENCV_FOR_THREADS_NUM")


def prepare_process() -> None:
    """Keeps freed memory, and limits the threads of libraries that are not loaded yet.

    Variables that the user has set stay. Printing never fails: what a terminal or pipe cannot show
    is escaped, and what goes to a closed one is dropped.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        # closed ones; in this order, so that no other file gets its number
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    keep_freed_memory()
    count = thread_count()
    if count < (os.cpu_count() or 1):
        for name in THREAD_VARIABLES:
            os.environ.setdefault(name, str(count))


def drop_unprinted() -> None:
    """Drops what stdout or stderr cannot print, which Python would try again at its end."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
