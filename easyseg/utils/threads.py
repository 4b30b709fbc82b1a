"""How many threads may be used."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
PROCESS_CGROUP = Path("/proc/self/cgroup")


def thread_count() -> int:
    """`OMP_NUM_THREADS` if it is set; otherwise the cores that this process may use.

    That is its CPU affinity, and the CPU quota of its cgroup (version 2), rounded up, as
    containers have it.
    """
    variable = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if variable.isdecimal() and int(variable) > 0:
        return int(variable)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.ceil(min(cores or 1, _cpu_quota())))


def limit_threads() -> None:
    """Limits the threads of OpenCV and, once it is imported, TensorFlow to `thread_count()`.

    Neither knows `OMP_NUM_THREADS`, and TensorFlow does not know CPU quotas. TensorFlow can be
    limited only before its first operation. Limits that the user has set stay.
    """
    import cv2  # noqa: PLC0415

    if thread_count() < cv2.getNumThreads():
        cv2.setNumThreads(thread_count())
    tf = sys.modules.get("tensorflow")
    if tf is None or thread_count() >= (os.cpu_count() or 1):
        return
    if "TF_NUM_INTRAOP_THREADS" in os.environ:
        return
    if not tf.config.threading.get_intra_op_parallelism_threads():
        with contextlib.suppress(RuntimeError):  # TensorFlow has run an operation
            tf.config.threading.set_intra_op_parallelism_threads(thread_count())


def _cpu_quota() -> float:
    """Cores that the process's cgroup and those around it allow; infinite without a limit."""
    try:
        lines = PROCESS_CGROUP.read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return math.inf
    paths = [line.split(":", 2)[2] for line in lines if line.startswith("0::")]  # version 2
    folder = CGROUP_ROOT / "".join(paths[:1]).strip("/")
    quotas = [math.inf]
    for parent in (folder, *folder.parents):
        with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
            quota, period = map(float, (parent / "cpu.max").read_text("ascii").split())
            quotas.append(quota / period)
    return min(quotas)
