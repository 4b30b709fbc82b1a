"""Clusters of Ray, for tests that skip where it is not installed."""

from __future__ import annotations

import os

import pytest
from helpers.ray_runs import STORE, draw_images


@pytest.fixture
def ray(monkeypatch):
    """The package, not connected to a cluster; disconnected afterwards."""
    package = pytest.importorskip("ray", reason="needs Ray: pip install 'easyseg[ray]'")
    pytest.importorskip("ray.data", reason="needs Ray Data: pip install 'easyseg[ray]'")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    yield package
    package.shutdown()


@pytest.fixture
def local(ray):
    """The same, connected to a cluster of this computer with two cores."""
    ray.init(
        "local",
        num_cpus=2,
        object_store_memory=STORE,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    return ray


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A folder with 60 images and two files that are none."""
    folder = tmp_path_factory.mktemp("run") / "images"
    return draw_images(folder, 60, bad=["bad.jpg", "deep/worse.png"])


@pytest.fixture(scope="session")
def mini():
    from easyseg import SemanticSegmentation

    return SemanticSegmentation("mini")


@pytest.fixture(scope="session")
def alone(images, mini):
    """What one process makes of the images: a function from options to the folder of results."""
    made = {}

    def run(**options):
        key = tuple(sorted(options.items()))
        if key not in made:
            out = images.parent / f"alone-{len(made)}-{os.getpid()}"
            mini.segment_folder(images, out, progress=False, **options)
            made[key] = out
        return made[key]

    return run
