"""Reads the Keras 2 weight files of PixelLib and bonlime/keras-deeplab-v3-plus.

They hold the tensors of Google's checkpoints unchanged, under shorter names:
`xception_65/entry_flow/block1/unit_1/xception_module/shortcut/BatchNorm/gamma` is the weight
`gamma:0` of the layer `entry_flow_block1_shortcut_BN`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

from easyseg.errors import WeightsError

__all__ = ["keras2_name", "read_keras2_h5"]

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


def read_keras2_h5(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Variables by checkpoint name; those that match none of `names` keep their name in the file.

    Args:
        path: The .h5 file.
        names: Checkpoint names of the model's variables.

    Raises:
        WeightsError: Not an HDF5 file, or not one written by Keras.
    """
    official = {keras2_name(name): name for name in names}
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            return {official.get(key, key): value for key, value in _weights(root)}
    except (OSError, KeyError) as error:
        raise WeightsError(
            f"{path} cannot be read as a Keras weights file ({error}). "
            "Download or import the weights again."
        ) from error


def _weights(root: h5py.Group) -> Iterable[tuple[str, np.ndarray]]:
    for layer in root.attrs["layer_names"]:
        layer = _text(layer)  # noqa: PLW2901  (bytes or str, by writer)
        group = root[layer]
        for weight in group.attrs["weight_names"]:
            leaf = _text(weight).rsplit("/", 1)[-1].split(":")[0]
            yield f"{OTHER_SPELLINGS.get(layer, layer)}/{leaf}", group[_text(weight)][()]


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
