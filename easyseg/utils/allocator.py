"""How the C library keeps memory that was freed."""

from __future__ import annotations

import ctypes
import os
import sys

# of glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
KEPT_BYTES = 256 * 2**20
USER_SETTINGS = ("MALLOC_MMAP_", "MALLOC_TRIM_", "GLIBC_TUNABLES")  # environment variables


def keep_freed_memory() -> None:
    """Has glibc take large blocks from its heap, and keep up to 256 MB of it when they are freed.

    By default each large block is mapped and unmapped by itself, and the system clears its pages
    for every operation: 40 % of the time of a training step of ResNet-50. Does nothing with
    another C library, or where the environment configures malloc.
    """
    configured = any(name.startswith(USER_SETTINGS) for name in os.environ)
    if configured or not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
