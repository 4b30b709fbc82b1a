"""How many threads an engine may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

__all__ = ["thread_count"]

CGROUPS = Path("/sys/fs/cgroup")


def thread_count() -> int:
    """`OMP_NUM_THREADS` if it is set; else the cores that this process may use.

    A container's share of the processor (its cgroup's quota) counts, rounded up.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.ceil(min(cores or 1, _quota(CGROUPS))))


def _quota(folder: Path) -> float:
    """Cores that the cgroup allows; infinite where there is no limit."""
    files = (  # version 2: both numbers in one file; version 1: one in each
        [folder / "cpu.max"],
        [folder / "cpu/cpu.cfs_quota_us", folder / "cpu/cpu.cfs_period_us"],
    )
    for paths in files:
        try:
            quota, period = " ".join(path.read_text("ascii") for path in paths).split()
            if float(quota) > 0:
                return float(quota) / float(period)
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return math.inf
