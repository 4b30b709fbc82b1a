"""Engines use the threads that they may."""

from __future__ import annotations

import pytest

from easyseg.engines import threads


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch, tmp_path):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "CGROUPS", tmp_path)


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
