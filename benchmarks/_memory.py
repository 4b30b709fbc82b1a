"""Peak memory, each measured in a process of its own."""

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

__all__ = ["in_child", "peak_of", "report", "resident", "trim_memory"]

INTERVAL = 0.002  # seconds


def resident() -> float:
    """Megabytes of resident memory of this process."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE") / 1e6


def trim_memory() -> None:
    """Returns freed memory to the system, so that using it again is counted."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def peak_of(function: Callable[[], Any]) -> tuple[float, Any]:
    """Peak megabytes while the function ran, and what it returned."""
    samples, done, peak_before = [resident()], threading.Event(), _process_peak()

    def sample() -> None:
        while not done.wait(INTERVAL):
            samples.append(resident())

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        result = function()
    finally:
        samples.append(resident())
        done.set()
        sampler.join()
    if _process_peak() > peak_before:  # the samples may have missed it
        samples.append(_process_peak())
    return max(samples), result


def _process_peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def report(**values: float) -> None:
    """Returns values from a child process to `in_child`."""
    print(json.dumps(values))


def in_child(script: str, *arguments: object) -> dict[str, float]:
    """Runs the script in a process of its own; returns what it reports."""
    command = [sys.executable, script, *map(str, arguments)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])
