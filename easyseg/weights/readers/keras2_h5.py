"""Reads the Keras 2 weight files of PixelLib and bonlime/keras-deeplab-v3-plus.

They hold the tensors of Google's checkpoints unchanged, under shorter names:
`xception_65/entry_flow/block1/unit_1/xception_module/shortcut/BatchNorm/gamma` is the weight
`gamma:0` of the layer `entry_flow_block1_shortcut_BN`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from easyseg.weights.readers.hdf5 import read_hdf5
from easyseg.weights.variable_names import Shape

LEAVES = {"weights": "kernel", "depthwise_weights": "depthwise_kernel", "biases": "bias"}
OTHER_SPELLINGS = {"custom_logits_semantic": "logits_semantic"}  # bonlime's own class count


def keras2_name(name: str) -> str:
    """`layer/weight` in the .h5 file of the variable with this checkpoint name."""
    scope, leaf = name.rsplit("/", 1)
    scope = re.sub(r"^(xception_65/|MobilenetV2/|decoder/)", "", scope)
    if scope.startswith("middle_flow/"):
        scope = scope.replace("/block1/", "/")
    else:
        scope = scope.replace("/unit_1/xception_module", "")
    scope = scope.replace("/xception_module", "").replace("/BatchNorm", "_BN")
    return f"{scope.replace('/', '_')}/{LEAVES.get(leaf, leaf)}"


def read_keras2_h5(path: Path, shapes: Mapping[str, Shape]) -> dict[str, np.ndarray]:
    """Variables by checkpoint name.

    Args:
        path: The .h5 file.
        shapes: Shapes of the model's variables, by checkpoint name.

    Raises:
        WeightsError: Not an HDF5 file, or a damaged one.
        WeightsMismatchError: It has other variables.
    """
    official = {keras2_name(name): name for name in shapes}

    def rename(name: str) -> str | None:
        """From "model_weights/conv1/conv1/kernel:0"; optimizers are left out."""
        layer, *_, leaf = name.removeprefix("model_weights/").split("/")
        key = f"{OTHER_SPELLINGS.get(layer, layer)}/{leaf.split(':')[0]}"
        return None if name.startswith("optimizer_weights/") else official.get(key, key)

    return read_hdf5(
        path,
        shapes,
        rename=rename,
        cure="Download or import the weights again.",
        kind="a Keras weights file",
    )
