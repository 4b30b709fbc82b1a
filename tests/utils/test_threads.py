"""Runtimes use the threads that they may."""

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
    monkeypatch.setattr(threads, "CGROUPS", tmp_path)
    monkeypatch.setattr(threads, "OWN_CGROUPS", tmp_path / "own")


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
def test_cgroup_version_2(tmp_path, quota, count):
    (tmp_path / "cpu.max").write_text(quota)
    assert threads.thread_count() == count


@pytest.mark.parametrize(("quota", "count"), [("-1", 8), ("200000", 2)])
def test_cgroup_version_1(tmp_path, quota, count):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    assert threads.thread_count() == count


@pytest.mark.parametrize(
    ("own", "limited", "count"),
    [
        ("0::/user/job", "user", 2),
        ("0::/user/job", "user/job", 2),
        ("4:cpu,cpuacct:/user/job\n3:memory:/other", "cpu/user", 2),
        ("0::/elsewhere", "user", 8),
        ("0::/", "user", 8),
    ],
)
def test_a_limit_around_the_process(tmp_path, own, limited, count):
    """Of its own cgroup, or of one that this lies in."""
    (tmp_path / "own").write_text(own)
    (tmp_path / limited).mkdir(parents=True)
    if limited.startswith("cpu"):
        (tmp_path / limited / "cpu.cfs_quota_us").write_text("200000")
        (tmp_path / limited / "cpu.cfs_period_us").write_text("100000")
    else:
        (tmp_path / limited / "cpu.max").write_text("200000 100000")
    assert threads.thread_count() == count


def test_tensorflow_and_opencv_are_held_to_it():
    """In a process of its own, in which TensorFlow has done nothing yet."""
    code = (
        "import cv2; from easyseg._keras import keras; import tensorflow as tf; "
        "print(cv2.getNumThreads(), tf.config.threading.get_intra_op_parallelism_threads())"
    )
    environment = {k: v for k, v in os.environ.items() if k != "TF_NUM_INTRAOP_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["1", "1"]
