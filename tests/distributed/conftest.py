"""Clusters of Ray, for tests that skip where it is not installed."""

from __future__ import annotations

import sys

import pytest
from helpers.ray_runs import draw_images, files_of, start


@pytest.fixture(scope="session", autouse=True)
def _end():
    """Ends the cluster that the tests share."""
    yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


@pytest.fixture
def installed(monkeypatch):
    """The package."""
    package = pytest.importorskip("ray", reason="needs Ray: pip install 'easyseg[ray]'")
    pytest.importorskip("ray.data", reason="needs Ray Data: pip install 'easyseg[ray]'")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return package


@pytest.fixture
def ray(installed):
    """The package, not connected to a cluster; disconnected afterwards."""
    installed.shutdown()
    yield installed
    installed.shutdown()


@pytest.fixture
def local(installed):
    """The package, connected to a cluster of this computer with two cores, which tests share."""
    if not installed.is_initialized():
        start(installed)
    return installed


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A folder with 20 images and two files that are none."""
    folder = tmp_path_factory.mktemp("run") / "images"
    return draw_images(folder, 20, bad=["bad.jpg", "deep/worse.png"])


@pytest.fixture(scope="session")
def mini():
    from easyseg import SemanticSegmentation

    return SemanticSegmentation("mini")


@pytest.fixture(scope="session")
def many(tmp_path_factory, mini):
    """A folder with 150 images, and the files that one process makes of them."""
    folder = tmp_path_factory.mktemp("many")
    draw_images(folder / "images", 150)
    mini.segment_folder(folder / "images", folder / "alone", progress=False)
    return folder / "images", files_of(folder / "alone")
