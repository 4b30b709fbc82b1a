"""`benchmarks/published.py` understands the conditions of every published result."""

import importlib

import pytest
from helpers.paths import ROOT

from easyseg.inference.options import InferenceOptions
from easyseg.weights.manifest import Score, weight_sets


def test_all_conditions(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    published = importlib.import_module("published")
    scores = [(name, s) for name, entry in weight_sets().items() for s in entry.miou]
    assert len(scores) > 15
    for name, score in scores:
        options = published.conditions(score)
        stride = options.pop("output_stride")
        assert f"output stride {stride}," in score.conditions, name
        InferenceOptions(**options)
    strict = dict(scores)["xception65.ade20k"]
    assert published.conditions(strict) == {
        "output_stride": 8, "scales": (0.5, 0.75, 1.0, 1.25, 1.5, 1.75), "flip": True
    }  # fmt: skip
    with pytest.raises(ValueError, match="not understood"):
        published.conditions(Score(1.0, "val", "somehow"))
