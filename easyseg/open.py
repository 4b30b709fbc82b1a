"""From a model's name or folder to a network with its weights, ready to run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from easyseg.config import ModelConfig
from easyseg.labels import LabelSet, load_label_set
from easyseg.models.build import build_model
from easyseg.weights.bundle import bundle_folder, read_bundle
from easyseg.weights.fetch import fetch_weights, import_weights
from easyseg.weights.load import load_weights
from easyseg.weights.manifest import weight_set

__all__ = ["OpenModel", "import_file", "open_model"]


class OpenModel(NamedTuple):
    """A network with weights, and what its outputs mean."""

    model: Any
    config: ModelConfig
    label_set: LabelSet


def open_model(
    model: str | os.PathLike[str],
    *,
    output_stride: int | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> OpenModel:
    """Builds the network and gives it its weights, which are downloaded if they must be.

    Args:
        model: "mini" (comes with easyseg), a name from `easyseg models`, or a bundle's folder.
        output_stride: 8, 16 or 32 instead of the model's own.
        cache: Folder for downloads; by default `EASYSEG_HOME` or the user's cache.
        progress: Shows a bar while downloading.

    Raises:
        UnknownNameError: Neither a known name nor a folder.
        WeightsError: The weights cannot be had, or are not for this network.
    """
    folder = bundle_folder(model)
    if folder is not None:
        bundle = read_bundle(folder)
        config, label_set = bundle.config, bundle.label_set
    else:
        entry = weight_set(str(model))
        config, label_set = entry.model, load_label_set(entry.labels)
    if output_stride is not None:
        config = config.replace(output_stride=output_stride)
    network = build_model(config)
    if folder is not None:
        load_weights(network, bundle.weights, "bundle")
    else:
        path = fetch_weights(
            entry,
            cache=cache,
            progress=progress,
            verify=lambda new: load_weights(network, new, entry.layout),
        )
        load_weights(network, path, entry.layout)
    return OpenModel(network, config, label_set)


def import_file(
    name: str, file: str | os.PathLike[str], *, cache: str | os.PathLike[str] | None = None
) -> Path:
    """Brings a weights file that was downloaded by hand into the cache, if it fits the model.

    Args:
        name: A name from `easyseg models`.
        file: The .tar.gz or .h5 file.
        cache: As in `open_model`.

    Returns:
        Where the weights are now.

    Raises:
        WeightsError: The file is not there, damaged, or for another model.
    """
    entry = weight_set(name)
    network = build_model(entry.model)
    return import_weights(
        entry, file, cache=cache, verify=lambda new: load_weights(network, new, entry.layout)
    )
