"""What the command line changes in its own process; importing easyseg changes nothing."""

from __future__ import annotations

import os

from easyseg.utils.allocator import keep_freed_memory
from easyseg.utils.threads import thread_count

__all__ = ["prepare_process"]

THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "OPENCV_FOR_THREADS_NUM")


def prepare_process() -> None:
    """Keeps freed memory, and limits the threads of libraries that are not loaded yet.

    Variables that the user has set stay.
    """
    keep_freed_memory()
    count = thread_count()
    if count < (os.cpu_count() or 1):
        for name in THREAD_VARIABLES:
            os.environ.setdefault(name, str(count))
