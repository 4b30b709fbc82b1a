"""The application in Ray Serve, where Ray is installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from helpers.paths import ROOT

from easyseg import SemanticSegmentation
from easyseg.serve.client import Remote

IMAGE = ROOT / "easyseg/serve/page/example.jpg"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray
def test_it_serves_what_a_model_gives(monkeypatch):
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'ray[serve]'")
    serve = pytest.importorskip("ray.serve", reason="needs Ray: pip install 'ray[serve]'")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    spec = importlib.util.spec_from_file_location("ray_serve", ROOT / "deploy/ray_serve.py")
    deploy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(deploy)
    with pytest.raises(ValueError, match="unknown option 'modl'; there are model"):
        deploy.build({"modl": "mini"})
    try:
        ray.init(num_cpus=1, include_dashboard=False)
        serve.start(http_options={"host": "127.0.0.1", "port": 18231})
        serve.run(deploy.build({"cpus": "0.5"}))
        remote = Remote("http://127.0.0.1:18231")
        result = remote.segment_image(IMAGE)
    finally:
        serve.shutdown()
        ray.shutdown()
    expected = SemanticSegmentation("mini").segment_image(IMAGE)
    np.testing.assert_array_equal(result.labels, expected.labels)
