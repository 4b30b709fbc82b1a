"""From a model's name or folder to a network with its weights, ready to run."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any, NamedTuple

from easyseg.models.build import build_model
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import PREFIX, KerasHubConfig, is_hub, no_choice
from easyseg.models.kerashub.network import read_preset
from easyseg.results.label_set import LabelSet
from easyseg.weights.cache import fetch_weights, import_weights
from easyseg.weights.manifest import weight_set
from easyseg.weights.readers import load_weights
from easyseg.weights.resolve import resolve

__all__ = ["LoadedModel", "import_file", "load_model"]


class LoadedModel(NamedTuple):
    """A network with weights, and what its outputs mean."""

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
    """Builds the network and gives it its weights, which are downloaded if they must be.

    Args:
        model: "mini" (comes with easyseg), a name from `easyseg models`, a bundle's folder, an
            .h5 file of PixelLib or bonlime/keras-deeplab-v3-plus, a frozen graph (.pb) of
            Google's, or "hub:" and a preset of KerasHub's.
        architecture: The published weights whose network and classes a file has; an .h5 file under its
            published name needs none.
        output_stride: 8, 16 or 32 instead of the model's own.
        cache_dir: Folder for downloads; by default `EASYSEG_HOME` or the user's cache.
        progress: Shows a bar while downloading.

    Raises:
        UnknownNameError: Neither a known name nor a folder.
        InputError: A file needs `architecture`, or a preset of KerasHub's KerasHub.
        ConfigError: The network cannot have this output stride.
        WeightsError: The weights cannot be had, or are not for this network.
    """
    if is_hub(model):
        if output_stride is not None:  # before any download
            raise no_choice("output_stride")
        return LoadedModel(*read_preset(str(model).removeprefix(PREFIX)))
    found = resolve(
        model, architecture=architecture, output_stride=output_stride, cache_dir=cache_dir
    )
    network = build_model(found.config)
    load = functools.partial(load_weights, network, file_format=found.file_format)
    path = found.weights
    if path is None:
        assert found.entry is not None  # noqa: S101  (for mypy)
        path = fetch_weights(found.entry, cache_dir=cache_dir, progress=progress, verify=load)
    load(path)
    return LoadedModel(network, found.config, found.label_set)


def import_file(
    name: str, file: str | os.PathLike[str], *, cache_dir: str | os.PathLike[str] | None = None
) -> Path:
    """Brings a weights file that was downloaded by hand into the cache_dir, if it fits the model.

    Args:
        name: A name from `easyseg models`.
        file: The .tar.gz or .h5 file.
        cache_dir: As in `load_model`.

    Returns:
        Where the weights are now.

    Raises:
        WeightsError: The file is not there, damaged, or for another model.
    """
    entry = weight_set(name)
    network = build_model(entry.model)
    return import_weights(
        entry,
        file,
        cache_dir=cache_dir,
        verify=lambda new: load_weights(network, new, entry.file_format),
    )
