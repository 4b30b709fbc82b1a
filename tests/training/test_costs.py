"""What a run reads and builds: each training mask twice before training, the network twice."""

from collections import Counter

import pytest
from helpers.square_dataset import QUICK, paint, start
from PIL.PngImagePlugin import PngImageFile

import easyseg.models.build
from easyseg import SemanticSegmentation
from easyseg.training import trainer
from easyseg.weights.bundle import save_bundle


@pytest.fixture
def built(monkeypatch):
    """The networks that were built."""
    configs = []
    build = easyseg.models.build.build_model

    def counted(config):
        configs.append(config)
        return build(config)

    for module in ("easyseg.training.trainer", "easyseg.weights.loader"):
        monkeypatch.setattr(f"{module}.build_model", counted)
    return configs


def test_masks_are_decoded_twice_and_networks_built_twice(tmp_path, monkeypatch, built):
    loaded = start()
    save_bundle(tmp_path / "start", loaded.model, loaded.config, loaded.label_set)
    shapes = paint(tmp_path / "shapes")
    seg = SemanticSegmentation(
        tmp_path / "start", scales=(1.0, 0.5), flip=True, batch_size=3, runtime="keras"
    )
    seg.model  # noqa: B018  (loads the network)
    built.clear()

    decoded, before_training = Counter(), []
    load, train = PngImageFile.load, trainer.train

    def counted(image):
        if image.tile:  # not loaded before
            decoded[image.filename] += 1
        return load(image)

    monkeypatch.setattr(PngImageFile, "load", counted)

    def start_of_training(*args, **options):
        before_training.append(Counter(decoded))
        return train(*args, **options)

    monkeypatch.setattr("easyseg.training.fine_tune.train", start_of_training)
    mine = seg.fine_tune(shapes, run_dir=tmp_path / "run", progress=False, **QUICK)
    masks = [before_training[0][path] for path in map(str, shapes.glob("masks/train/*"))]
    assert len(masks) == 6
    assert 1 <= min(masks) <= max(masks) <= 2
    assert len(built) <= 2
    assert mine._options == seg._options
