"""From a model's name or folder to a network with its weights, ready to run."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any, NamedTuple

from easyseg.models.build import build_model
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import PREFIX, KerasHubConfig, fixed_by_kerashub, is_hub
from easyseg.models.kerashub.network import read_preset
from easyseg.results.label_set import LabelSet
from easyseg.weights.cache import fetch_weights, import_weights
from easyseg.weights.manifest import weight_set
from easyseg.weights.readers import load_weights
from easyseg.weights.resolve import refuse_architecture, resolve

__all__ = ["LoadedModel", "import_file", "load_model"]


class LoadedModel(NamedTuple):
    """A network with weights.

    Attributes:
        model: The `keras.Model`, as of `build_model`.
        config: Its config.
        label_set: The classes of its outputs.
    """

    model: Any
    config: ModelConfig | KerasHubConfig
    label_set: LabelSet


def load_model(
    model: str | os.PathLike[str],
    *,
    architecture: str | None = None,
    output_stride: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> LoadedModel:
    """Builds a network and loads its weights, which are downloaded if they are not in the cache.

    Args:
        model: "mini" (included in easyseg), a name from `list_models()`, the folder of a bundle, a
            Keras 2 weights file (.h5) of PixelLib or bonlime/keras-deeplab-v3-plus, a frozen graph
            (.pb) of Google's model zoo, or "hub:" and a KerasHub preset.
        architecture: The published weights whose network and classes a weights file has, such as
            "xception65.voc"; an .h5 file under its published name needs none.
        output_stride: 8, 16 or 32 instead of the model's own.
        cache_dir: Folder for downloads; by default `EASYSEG_HOME` or the user's cache.
        progress: Shows a bar while downloading.

    Raises:
        UnknownNameError: Neither a known name nor a folder.
        InputError: A weights file needs `architecture`, or it is given for something else; or
            KerasHub is not installed.
        ConfigError: The network cannot have this output stride.
        WeightsError: The weights are not available, or are of another network.
    """
    if is_hub(model):
        refuse_architecture(model, architecture)
        if output_stride is not None:  # before any download
            raise fixed_by_kerashub("output_stride")
        return LoadedModel(*read_preset(str(model).removeprefix(PREFIX)))
    source = resolve(
        model, architecture=architecture, output_stride=output_stride, cache_dir=cache_dir
    )
    network = build_model(source.config)
    load = functools.partial(load_weights, network, file_format=source.file_format)
    path = source.weights
    if path is None:
        assert source.entry is not None  # noqa: S101  (for mypy)
        path = fetch_weights(source.entry, cache_dir=cache_dir, progress=progress, verify=load)
    load(path)
    return LoadedModel(network, source.config, source.label_set)


def import_file(
    name: str, file: str | os.PathLike[str], *, cache_dir: str | os.PathLike[str] | None = None
) -> Path:
    """Imports a weights file that was downloaded by other means into the cache.

    Args:
        name: A name from `easyseg models`.
        file: The .tar.gz or .h5 file.
        cache_dir: As in `load_model`.

    Returns:
        The path of the weights in the cache.

    Raises:
        WeightsError: The file is missing, damaged, or of another network.
    """
    entry = weight_set(name)
    network = build_model(entry.model)
    return import_weights(
        entry,
        file,
        cache_dir=cache_dir,
        verify=lambda new: load_weights(network, new, entry.file_format),
    )
