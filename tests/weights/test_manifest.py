import json
import re

import pytest

from easyseg.errors import UnknownNameError
from easyseg.models.config import ModelConfig
from easyseg.results.label_set import load_label_set
from easyseg.utils.resources import pretrained_path
from easyseg.weights.manifest import Score, weight_set, weight_sets

NAMES = {
    "xception65.ade20k",
    "xception65.voc",
    "xception65.voc_trainval",
    "xception65.cityscapes",
    "mobilenetv2.voc",
    "mobilenetv2.voc_trainval",
    "mobilenetv2_050.voc",
    "mobilenetv2_050.voc_trainval",
    "xception71.cityscapes",
    "xception71.cityscapes_trainval",
    "mobilenetv3_large.cityscapes",
    "mobilenetv3_small.cityscapes",
    "mobilenetv2.ade20k",
    "mobilenetv2.cityscapes",
    "xception65.voc_pixellib",
    "xception65.ade20k_pixellib",
    "xception65.voc_bonlime",
    "mobilenetv2.voc_bonlime",
    "xception65.cityscapes_bonlime",
    "mobilenetv2.cityscapes_bonlime",
}
HEX_DIGITS = {"md5": 32, "sha256": 64, "sha384": 96, "sha512": 128}


def test_every_published_set_is_in_the_table():
    assert set(weight_sets()) >= NAMES


@pytest.mark.parametrize("name", sorted(weight_sets()))
def test_an_entry_is_consistent(name):
    entry = weight_set(name)
    assert entry.name == name
    for url in (entry.url, *entry.mirrors):
        assert url.startswith("https://")
        assert url.endswith(".tar.gz" if entry.file_format == "tf_checkpoint" else ".h5")
    assert entry.file_format in ("tf_checkpoint", "keras2_h5")
    assert name.split(".")[1].startswith(entry.labels)
    assert name.split(".")[0].startswith(entry.model.backbone)
    assert entry.model.num_classes == len(load_label_set(entry.labels))
    assert entry.license
    assert entry.origin
    for algorithm, digest in entry.hashes.items():
        assert re.fullmatch(f"[0-9a-f]{{{HEX_DIGITS[algorithm]}}}", digest)
    for score in entry.miou:
        assert 0 < score.value < 100
        assert score.split in ("val", "test")
        assert score.conditions


def test_no_two_sets_have_the_same_url():
    urls = [url for entry in weight_sets().values() for url in (entry.url, *entry.mirrors)]
    assert len(urls) == len(set(urls))


def test_same_file_name_but_other_publisher_is_another_set():
    ours, theirs = weight_set("xception65.voc_pixellib"), weight_set("xception65.voc_bonlime")
    assert ours.url.rpartition("/")[2] == theirs.url.rpartition("/")[2]
    assert ours.known_hash != theirs.known_hash


def test_models_are_those_of_the_zoo():
    assert weight_set("xception65.voc").model == ModelConfig()
    assert weight_set("mobilenetv2_050.voc").model == ModelConfig(
        backbone="mobilenetv2", aspp_rates=(), decoder="none", depth_multiplier=0.5
    )
    assert weight_set("mobilenetv2.ade20k").model == ModelConfig(
        backbone="mobilenetv2", num_classes=151, aspp_rates=(), input_size=(257, 257)
    )
    assert weight_set("xception65.cityscapes").model.input_size == (1025, 2049)
    for size in ("large", "small"):
        assert weight_set(f"mobilenetv3_{size}.cityscapes").model == ModelConfig(
            backbone=f"mobilenetv3_{size}",
            num_classes=19,
            output_stride=32,
            head="lraspp",
            head_channels=128,
            decoder="lraspp",
            input_size=(1025, 2049),
        )
    assert weight_set("xception71.cityscapes").model.head == "dpc"
    strides = {entry.model.backbone: entry.model.output_stride for entry in weight_sets().values()}
    assert {strides.pop(f"mobilenetv3_{size}") for size in ("large", "small")} == {32}
    assert set(strides.values()) == {16}


def test_published_results():
    assert weight_set("xception65.ade20k").miou == (
        Score(45.65, "val", "output stride 8, scales 0.5 to 1.75 in steps of 0.25, with mirroring"),
    )
    assert [score.value for score in weight_set("xception65.voc").miou] == [82.20, 83.58]
    assert weight_set("xception65.ade20k_pixellib").miou == ()


def test_known_hash_is_the_strongest():
    assert weight_set("xception65.voc_trainval").known_hash.startswith("sha512:c2bf680dabd5")
    assert weight_set("mobilenetv2.voc").known_hash.startswith("sha384:d3f2b27bb00c")
    assert weight_set("xception65.voc_pixellib").known_hash.startswith("sha256:5b29260c95bc")
    assert weight_set("xception65.ade20k").known_hash is None


def test_an_unknown_name_says_what_is_near():
    with pytest.raises(UnknownNameError, match=r"unknown weights 'xception.ade20k'.*xception65\."):
        weight_set("xception.ade20k")


def test_the_file_holds_only_what_differs_from_the_default():
    default = ModelConfig().to_dict()
    for row in json.loads(pretrained_path("manifest.json").read_text(encoding="utf-8")).values():
        model = {key: tuple(v) if isinstance(v, list) else v for key, v in row["model"].items()}
        same = {key for key, value in model.items() if value == default[key]}
        assert same <= {"backbone", "num_classes", "decoder"}
