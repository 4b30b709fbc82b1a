"""How many threads may be used."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

__all__ = ["limit_opencv", "limit_threads", "thread_count"]

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def thread_count() -> int:
    """`OMP_NUM_THREADS` if it is set; else the cores that this process may use.

    A container's share of the processor (its cgroup's quota) counts, rounded up.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.ceil(min(cores or 1, *map(_quota, _cgroups()))))


def limit_opencv() -> None:
    """Holds OpenCV's own threads to `thread_count()`, where they would be more."""
    import cv2  # noqa: PLC0415

    count = thread_count()
    if count < cv2.getNumThreads():
        cv2.setNumThreads(count)


def limit_threads() -> None:
    """Holds TensorFlow's and OpenCV's own threads to `thread_count()`, where they would be more.

    Neither knows `OMP_NUM_THREADS` or every kind of cgroup. It must happen before TensorFlow has
    begun to work; what a user has set stays.
    """
    import tensorflow as tf  # noqa: PLC0415

    limit_opencv()
    count = thread_count()
    if count >= (os.cpu_count() or 1) or "TF_NUM_INTRAOP_THREADS" in os.environ:
        return
    if tf.config.threading.get_intra_op_parallelism_threads() == 0:
        with contextlib.suppress(RuntimeError):  # TensorFlow has begun to work already
            tf.config.threading.set_intra_op_parallelism_threads(count)


def _cgroups() -> list[Path]:
    """Folders of the process's cgroup and of those around it: each may have a limit."""
    folders = [CGROUPS, CGROUPS / "cpu"]
    try:
        lines = OWN_CGROUPS.read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return folders
    for line in lines:
        _, kinds, path = line.split(":", 2)
        root = CGROUPS / "cpu" if kinds else CGROUPS  # version 2 has one tree for all kinds
        if not kinds or "cpu" in kinds.split(","):
            here = root / path.strip("/")
            folders += [folder for folder in (here, *here.parents) if root in folder.parents]
    return folders


def _quota(folder: Path) -> float:
    """Cores that a cgroup allows; infinite where there is no limit."""
    files = (  # version 2: both numbers in one file; version 1: one in each
        [folder / "cpu.max"],
        [folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"],
    )
    for paths in files:
        try:
            quota, period = " ".join(path.read_text("ascii") for path in paths).split()
            if float(quota) > 0:
                return float(quota) / float(period)
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return math.inf
