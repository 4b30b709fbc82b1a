import dataclasses
from pathlib import Path

import pytest
from helpers.file_server import Server

from easyseg.weights.manifest import weight_set


@pytest.fixture(scope="session")
def samples():
    """Photos of a person and of a cat."""
    data = pytest.importorskip("skimage", reason="its images: pip install easyseg[demo]").__path__
    return [str(Path(data[0], "data", name)) for name in ("astronaut.png", "chelsea.png")]


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("EASYSEG_OFFLINE", "EASYSEG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")
    monkeypatch.setattr("easyseg.weights.download.PAUSES", (0, 0))
    return tmp_path / "home"


@pytest.fixture
def entry(server):
    """Weights of which no hash is published."""
    url = server.url("/net.tar.gz")
    return dataclasses.replace(weight_set("mobilenetv2.voc"), url=url, mirrors=(), hashes={})


@pytest.fixture
def h5_entry(entry, server):
    return dataclasses.replace(entry, file_format="keras2_h5", url=server.url("/net.h5"))
