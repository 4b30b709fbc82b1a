"""ImageNet weights for the backbone of a new network, to train it further."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.errors import InputError, WeightsError
from easyseg.models.backbones import hrnet
from easyseg.models.backbones import keras_applications as applications
from easyseg.models.backbones.atrous import copy_weights
from easyseg.models.backbones.registry import BACKBONES
from easyseg.models.config import ModelConfig
from easyseg.utils.network import network_reason
from easyseg.weights.readers.hdf5 import check_hdf5
from easyseg.weights.readers.safetensors import read_safetensors
from easyseg.weights.variable_names import assign, named_variables, require_finite

TIMM_LEAVES = {
    "weights": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def load_imagenet(
    model: Any, config: ModelConfig, *, weights: str | os.PathLike[str] = "imagenet"
) -> None:
    """Loads ImageNet weights into the backbone of a network; head and decoder are not changed.

    Args:
        model: A network of `build_model(config)`.
        config: Its config; the backbone is one of `keras.applications` or an HRNet.
        weights: For `keras.applications`, "imagenet" for Keras's own download, or a file that
            Keras's model without its classifier (`include_top=False`) wrote with `save_weights`.
            For HRNet, the `model.safetensors` of the timm model of the same name.

    Raises:
        InputError: The backbone is neither.
        WeightsError: The weights are not available, or are of another network.
    """
    if config.backbone in hrnet.VARIANTS:
        _load_timm(model, config.backbone, weights)
    elif config.backbone in applications.APPLICATIONS:
        _load_keras(model, config.backbone, weights)
    else:
        raise InputError(
            f"there are no ImageNet weights for backbone {config.backbone!r}; choose one of "
            "keras.applications, such as 'resnet50', or an HRNet."
        )


def _load_keras(model: Any, backbone: str, weights: str | os.PathLike[str]) -> None:
    application = BACKBONES[backbone]
    if str(weights) != "imagenet" and Path(weights).is_file():
        check_hdf5(Path(weights), cure="Use a file that Keras's save_weights() wrote.")
    try:
        source = application.source(weights)
    except Exception as error:  # noqa: BLE001  (which Keras raises when a download fails)
        raise WeightsError(
            f"Cannot load weights={str(weights)!r} of {application.constructor}: "
            f"{network_reason(error)}. Check "
            "the network connection, or use a file written by "
            f"keras.applications.{application.constructor}(include_top=False).save_weights()."
        ) from None  # tracebacks of downloads are long and say no more
    for variable in source.weights:
        require_finite(np.asarray(variable.value), variable.path, source=str(weights))
    copy_weights(source, model, backbone)


def _load_timm(model: Any, backbone: str, weights: str | os.PathLike[str]) -> None:
    if str(weights) == "imagenet":
        raise WeightsError(
            f"Keras has no weights for {backbone}; download model.safetensors of a model "
            f"https://huggingface.co/timm/{backbone}.* and use its path as weights."
        )
    path = Path(weights)
    timm_arrays = read_safetensors(path)
    arrays = {}
    for name, variable in named_variables(model).items():
        if not name.startswith(f"{backbone}/"):
            arrays[name] = np.asarray(variable.value)
        elif (key := timm_name(name.removeprefix(f"{backbone}/"))) in timm_arrays:
            array = timm_arrays[key]
            arrays[name] = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
    assign(model, arrays, source=path.name)


def timm_name(name: str) -> str:
    """A variable's name in timm: "layer1/0/conv1/BatchNorm/beta" is "layer1.0.bn1.bias"."""
    *layer, leaf = name.split("/")
    if layer[-1] == "BatchNorm":
        conv = layer[-2]
        layer[-2:] = [conv.replace("conv", "bn") if "conv" in conv else str(int(conv) + 1)]
    return ".".join([*layer, TIMM_LEAVES[leaf]])
