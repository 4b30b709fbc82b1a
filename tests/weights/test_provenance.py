"""Where weights come from, as the manifest and the cards of saved models say."""

from __future__ import annotations

import pytest

from easyseg.results.label_set import LabelSet
from easyseg.weights.provenance import weights_provenance
from easyseg.weights.resolve import ModelSource, resolve

UNKNOWN = {"license": "", "origin": "", "training_data": "", "scores": []}


def test_the_embedded_model():
    facts = weights_provenance(resolve("mini"), "mini")
    assert facts["license"].startswith("MIT, as the code.")
    assert facts["training_data"].startswith("3,452 images of VOC 2012 train")
    assert facts["scores"] == [
        {
            "metric": "mean IoU",
            "value": 60.92,
            "split": "val",
            "conditions": "see the model card",
        }
    ]


def test_published_weights_and_other_files(tmp_path):
    """The manifest says nothing of a file that only has the same network."""
    name = "xception65.ade20k"
    source = resolve(name, cache_dir=tmp_path)._replace(weights=tmp_path / "model.ckpt")
    facts = weights_provenance(source, name)
    assert (facts["license"], facts["training_data"]) == ("Apache-2.0", "ade20k")
    assert (facts["scores"][0]["value"], facts["scores"][0]["split"]) == (45.65, "val")
    assert "DeepLab" in facts["origin"]
    assert weights_provenance(source, "mine.h5") == UNKNOWN


@pytest.mark.parametrize(
    ("card", "facts"),
    [
        (None, {}),
        ("# mine\n\nSaved from `/home/me/runs/mine`.\n", {}),
        (
            "# Trained on camvid\n\nEpoch 3. On 9 validation images: mean IoU 0.4567.\n",
            {"training_data": "camvid", "scores": 45.67},
        ),
        ("# mine\n\n## License\n\nCC BY 4.0\n\nMore.\n", {"license": "CC BY 4.0"}),
    ],
)
def test_cards(card, facts, tmp_path):
    """No path of this machine is among what a card is searched for."""
    if card is not None:
        (tmp_path / "card.md").write_text(card, "utf-8")
    mini = resolve("mini")
    label_set = LabelSet("x", ("a",), ((0, 0, 0),))
    source = ModelSource(mini.config, label_set, "bundle", tmp_path / "model.weights.h5")
    found = weights_provenance(source, "mine")
    found["scores"] = found["scores"][0]["value"] if found["scores"] else []
    assert found == UNKNOWN | facts
