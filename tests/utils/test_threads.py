"""Libraries use the threads that the process may use, once they are limited."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from easyseg.utils import threads


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch, tmp_path):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "CGROUP_ROOT", tmp_path)
    monkeypatch.setattr(threads, "PROCESS_CGROUP", tmp_path / "process")


def test_all_cores():
    assert threads.thread_count() == 8


@pytest.mark.parametrize(("value", "count"), [("3", 3), ("2,1", 2), ("", 8), ("0", 8), ("x", 8)])
def test_omp_num_threads(monkeypatch, value, count):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert threads.thread_count() == count


@pytest.mark.parametrize(
    ("quota", "count"),
    [("max 100000", 8), ("250000 100000", 3), ("50000 100000", 1), ("900000 100000", 8)],
)
def test_cpu_quota_of_a_cgroup(tmp_path, quota, count):
    (tmp_path / "process").write_text("0::/")
    (tmp_path / "cpu.max").write_text(quota)
    assert threads.thread_count() == count


@pytest.mark.parametrize(
    ("process", "limited", "count"),
    [
        ("0::/user/job", "user", 2),
        ("0::/user/job", "user/job", 2),
        ("4:cpu,cpuacct:/other\n0::/user/job", "user", 2),
        ("0::/elsewhere", "user", 8),
        ("0::/", "user", 8),
    ],
)
def test_a_cgroup_around_the_process(tmp_path, process, limited, count):
    """The limit is of its own cgroup, or of one around that."""
    (tmp_path / "process").write_text(process)
    (tmp_path / limited).mkdir(parents=True)
    (tmp_path / limited / "cpu.max").write_text("200000 100000")
    assert threads.thread_count() == count


def run_python(code, **environment):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TF_NUM_", "OMP_", "OPENCV_"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


REPORT = (
    "import cv2, os; from easyseg._keras import keras; import tensorflow as tf; {call}; "
    "print(cv2.getNumThreads(), tf.config.threading.get_intra_op_parallelism_threads(), "
    "os.environ.get('TF_NUM_INTRAOP_THREADS'))"
)


@pytest.mark.slow
@pytest.mark.skipif(os.cpu_count() == 1, reason="one thread is all there is")
def test_tensorflow_and_opencv_are_limited_when_asked():
    """In a process of its own, in which TensorFlow has done nothing yet."""
    limit = "from easyseg.utils.threads import limit_threads; limit_threads()"
    assert run_python(REPORT.format(call=limit), OMP_NUM_THREADS="1") == ["1", "1", "None"]


@pytest.mark.skipif(os.cpu_count() == 1, reason="one thread is all there is")
def test_an_import_limits_nothing():
    opencv, tensorflow, variable = run_python(REPORT.format(call="pass"), OMP_NUM_THREADS="1")
    assert (int(opencv) > 1, tensorflow, variable) == (True, "0", "None")


@pytest.mark.skipif(os.cpu_count() == 1, reason="one thread is all there is")
def test_the_command_line_limits_both():
    code = (
        "import os; from easyseg.cli._startup import prepare_process; prepare_process(); "
        "import cv2; print(cv2.getNumThreads(), os.environ['TF_NUM_INTRAOP_THREADS'])"
    )
    assert run_python(code, OMP_NUM_THREADS="1") == ["1", "1"]
