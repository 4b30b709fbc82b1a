"""Peaks of memory, each measured in a process of its own."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["give_back", "in_child", "peak_of", "report", "resident"]

EVERY = 0.002  # seconds


def resident() -> float:
    """Megabytes that this process holds."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE") / 1e6


def give_back() -> None:
    """Free memory that the C library keeps goes to the system, to be seen when it is used again."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def peak_of(function: Callable[[], Any]) -> tuple[float, Any]:
    """The most megabytes held at once while the function ran, and what it gave."""
    seen, done, highest = [resident()], threading.Event(), _highest()

    def watch() -> None:
        while not done.wait(EVERY):
            seen.append(resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        given = function()
    finally:
        seen.append(resident())
        done.set()
        watcher.join()
    if _highest() > highest:  # of the whole process so far: the samples may have missed it
        seen.append(_highest())
    return max(seen), given


def _highest() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def report(**figures: float) -> None:
    """What a child says to `in_child`."""
    print(json.dumps(figures))


def in_child(script: str, *arguments: object) -> dict[str, float]:
    """What the script reports when it runs in a process of its own."""
    command = [sys.executable, script, *map(str, arguments)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(said.splitlines()[-1])
