"""Networks of every kind are exported, checked and opened."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from easyseg import LabelSet, LoadedModel, ModelConfig, SemanticSegmentation, build_model
from easyseg.export.options import FORMATS

NETWORKS = {
    "mobilenetv2": {"backbone": "mobilenetv2"},
    "voc": {"backbone": "mobilenetv2", "aspp_rates": (), "decoder": "none"},
    "os8": {"backbone": "mobilenetv2", "output_stride": 8},
    "xception65": {},
    "resnet50": {"backbone": "resnet50"},
    "lraspp": {"backbone": "mobilenetv3_small", "head": "lraspp", "decoder": "lraspp"},
    "dpc": {"backbone": "mobilenetv2", "head": "dpc"},
    "hrnet": {"backbone": "hrnet_w18", "decoder": "none", "output_stride": 4},
    "attention": {"backbone": "mobilenetv2", "attention": "cbam", "attention_at": ("decoder",)},
    "learned": {"backbone": "mobilenetv2", "upsampling": "learned", "norm": "group"},
    "efficientnet": {"backbone": "efficientnetv2b0", "decoder": "none"},
}
SIZES = {"129": {"size": 129}, "257x321": {"size": (257, 321)}, "dynamic": {"dynamic": True}}
LABELS = LabelSet("four", ("a", "b", "c", "d"), tuple((i, 0, 0) for i in range(4)))
ENDINGS = {"openvino": "x_openvino", "saved_model": "saved_model", "tflite": "x.tflite"}


def random_model(name):
    """Random weights, with batch norms of one image, so that no feature vanishes."""
    keras.utils.set_random_seed(0)
    config = ModelConfig(**{"num_classes": 4, "input_size": (129, 129), **NETWORKS[name]})
    model = build_model(config)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    image = np.random.default_rng(0).integers(0, 256, (1, 129, 129, 3)).astype(np.float32)
    model(image, training=True)
    return LoadedModel(model, config, LABELS)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # other people's converters
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("name", NETWORKS)
def test_network(name, file_format, size, tmp_path, record_property):
    for package in FORMATS[file_format].packages:
        pytest.importorskip(package)
    if size == "dynamic" and "dynamic" not in FORMATS[file_format].arguments:
        pytest.skip("the format has one size")
    seg = SemanticSegmentation(random_model(name), runtime="keras")
    path = tmp_path / ENDINGS.get(file_format, f"x.{file_format}")
    summary = seg.export(path, output="logits", **SIZES[size])
    record_property("labels", summary.labels)
    record_property("difference", summary.difference)
    assert summary.labels >= 0.9999
    if file_format != "saved_model":
        image = np.random.default_rng(1).integers(0, 256, (100, 90, 3), np.uint8)
        assert SemanticSegmentation(path, cache_dir=tmp_path).segment_image(image).labels.size
