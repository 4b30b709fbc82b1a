"""Memory that a network needs again at once is not given back to the system in between."""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["keep_freed_memory"]

# of glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
KEPT = 256 * 2**20  # free bytes at the heap's end that are kept
SETTINGS = ("MALLOC_MMAP_", "MALLOC_TRIM_", "GLIBC_TUNABLES")  # the user's own


def keep_freed_memory() -> None:
    """Has glibc take large blocks from its heap, and keep up to 256 MB of it when they are free.

    By default each large block is mapped and unmapped by itself, and the system clears its pages
    anew for every operation: 40 % of the time of a training step of ResNet-50. Does nothing with
    another C library, or where the environment says how malloc works.
    """
    if not sys.platform.startswith("linux") or any(k.startswith(SETTINGS) for k in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, KEPT)
