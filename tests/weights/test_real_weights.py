"""The whole way with real weights: from a server that cuts the line to a segmented photo."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.paths import HALF_TARBALL, VOC_TARBALL
from PIL import Image

from easyseg import SemanticSegmentation
from easyseg.errors import WeightsMismatchError
from easyseg.weights import manifest
from easyseg.weights.cache import fetch_weights
from easyseg.weights.manifest import weight_set


@pytest.fixture
def served(monkeypatch, shared, server, home):
    """`mobilenetv2.voc` at an address of this computer, without a published hash."""
    content = VOC_TARBALL.read_bytes()
    remote = server.serve("/voc.tar.gz", content)
    entry = dataclasses.replace(
        weight_set("mobilenetv2.voc"), url=server.url("/voc.tar.gz"), mirrors=(), hashes={}
    )
    monkeypatch.setitem(manifest.weight_sets(), entry.name, entry)
    return remote


def test_two_lines_with_a_line_that_breaks(served, server, home, image, tmp_path):
    served.cuts = [1_000_000, 2_500_000]
    seg = SemanticSegmentation("mobilenetv2.voc", cache_dir=home, progress=False)
    result = seg.segment_image(image, tmp_path / "dog.png")
    assert [r for _, r in server.seen] == [None, "bytes=1000000-", "bytes=3500000-"]
    assert {"dog", "bicycle", "car"} <= set(result.class_names)
    with Image.open(tmp_path / "dog.png") as overlay:
        assert overlay.size == result.labels.shape[::-1]
    SemanticSegmentation("mobilenetv2.voc", cache_dir=home)
    assert len(server.seen) == 3  # the second time nothing is downloaded


def test_weights_of_another_head_do_not_enter_the_cache(shared, server, home, monkeypatch):
    server.serve("/other.tar.gz", HALF_TARBALL.read_bytes())
    entry = dataclasses.replace(
        weight_set("mobilenetv2.voc"), url=server.url("/other.tar.gz"), mirrors=(), hashes={}
    )
    monkeypatch.setitem(manifest.weight_sets(), entry.name, entry)
    with pytest.raises(WeightsMismatchError, match="of another shape") as caught:
        SemanticSegmentation("mobilenetv2.voc", cache_dir=home, progress=False)
    assert any("MobilenetV2/Conv/weights" in row for row in caught.value.wrong_shape)
    assert not list((home / "weights").glob("*/*.index"))


@pytest.mark.slow
def test_every_official_checkpoint_loads_through_the_manifest(golden):
    """Golden checkpoints have the zoo's names and shapes, Momentum slots and global_step."""
    from easyseg.models.build import build_model
    from easyseg.weights.readers import load_weights

    variants = {
        "xception65.ade20k": "xception65_ade20k_os16",
        "xception65.voc": "xception65_pascal_os16",
        "xception65.voc_trainval": "xception65_pascal_os16",
        "xception65.cityscapes": "xception65_cityscapes_os16",
        "mobilenetv2.voc": "mobilenetv2_pascal_os16",
        "mobilenetv2.voc_trainval": "mobilenetv2_pascal_os16",
        "xception71.cityscapes": "xception71_dpc_cityscapes_os16",
        "xception71.cityscapes_trainval": "xception71_dpc_cityscapes_os16",
        "mobilenetv2_050.voc": "mobilenetv2_dm05_pascal_os16",
        "mobilenetv2_050.voc_trainval": "mobilenetv2_dm05_pascal_os16",
        "mobilenetv2.ade20k": "mobilenetv2_ade20k_os16",
        "mobilenetv2.cityscapes": "mobilenetv2_cityscapes_os16",
        "mobilenetv3_large.cityscapes": "mobilenetv3_large_cityscapes_os32",
        "mobilenetv3_small.cityscapes": "mobilenetv3_small_cityscapes_os32",
    }
    official = [w.name for w in manifest.weight_sets().values() if w.file_format == "tf_checkpoint"]
    assert sorted(official) == sorted(variants)
    for name, variant in variants.items():
        if variant.startswith("xception") and name.endswith("trainval"):
            continue  # the same variables as train_aug
        entry = weight_set(name)
        load_weights(build_model(entry.model), golden.checkpoint(variant), entry.file_format)


@pytest.mark.slow
def test_every_keras_file_loads_through_the_manifest(golden):
    from easyseg.models.build import build_model
    from easyseg.weights.readers import load_weights

    files = {
        "xception65.voc_pixellib": "pixellib_xception65_pascal",
        "xception65.ade20k_pixellib": "pixellib_xception65_ade20k",
        "mobilenetv2.voc_bonlime": "bonlime_mobilenetv2_pascal",
    }
    for name, file in files.items():
        entry = weight_set(name)
        load_weights(build_model(entry.model), golden.h5(file), entry.file_format)


def test_the_keras_file_of_the_other_class_count(golden):
    from easyseg.models.build import build_model
    from easyseg.weights.readers import load_weights

    model = build_model(weight_set("xception65.voc_pixellib").model)
    with pytest.raises(WeightsMismatchError, match=r"logits/semantic/weights \(file .*151\)"):
        load_weights(model, golden.h5("pixellib_xception65_ade20k"), "keras2_h5")


def test_fetch_is_public_for_prefetching(served, home):
    entry = weight_set("mobilenetv2.voc")
    assert fetch_weights(entry, cache_dir=home, progress=False).name == "model.ckpt-30000"
