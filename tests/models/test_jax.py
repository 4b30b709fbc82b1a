"""The same weights give the same logits on Keras's JAX backend, for each family of backbones."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from easyseg import LabelSet, ModelConfig, SemanticSegmentation, build_model
from easyseg.weights.bundle import save_bundle

SMALL = ModelConfig(num_classes=3, head_channels=8, input_size=(65, 65))
LABELS = LabelSet("three", ("a", "b", "c"), ((0, 0, 0), (9, 0, 0), (0, 9, 0)))
NETWORKS = {
    "resnet_beta": SMALL.replace(backbone="resnet50_beta"),
    "mobilenet_v3": SMALL.replace(
        backbone="mobilenetv3_small", head="lraspp", decoder="lraspp", output_stride=32
    ),
    "applications": SMALL.replace(backbone="efficientnetv2b0"),
    "hrnet": SMALL.replace(
        backbone="hrnet_w18", output_stride=4, decoder="none", aspp_rates=(), image_pooling=False
    ),
}
SCRIPT = """
import json, sys, numpy as np
from easyseg import SemanticSegmentation
from easyseg._keras import backend
assert backend() == "jax"
for folder in json.loads(sys.argv[1]):
    data = np.load(f"{folder}.npz")
    logits = SemanticSegmentation(folder).segment_image(data["image"]).grid.logits
    worst = np.abs(logits - data["logits"]).max() / np.abs(data["logits"]).max()
    print(folder, worst)
    assert worst <= 2e-4, (folder, worst)
"""


def hub_network():
    from test_hub import segformer

    from easyseg.models.kerashub.network import _config_of

    config = _config_of(segformer(3), "tiny")
    return build_model(config), config


@pytest.mark.slow
def test_networks_of_all_families_under_jax(tmp_path, record_property):
    import keras

    pytest.importorskip("jax", reason="needs the jax extra: pip install easyseg[jax]")
    keras.utils.set_random_seed(2)
    networks = {name: (build_model(config), config) for name, config in NETWORKS.items()}
    if importlib.util.find_spec("keras_hub"):
        networks["segformer"] = hub_network()
    image = np.random.default_rng(0).integers(0, 256, (65, 65, 3), np.uint8)
    folders = []
    for name, (model, config) in networks.items():
        folders.append(str(save_bundle(tmp_path / name, model, config, LABELS)))
        logits = SemanticSegmentation(folders[-1]).segment_image(image).grid.logits
        np.savez(tmp_path / name, image=image, logits=logits)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(folders)],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    record_property("deviations", done.stdout)
