"""Which network, classes and weights a model's name, folder or file means, without Keras."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import HubConfig
from easyseg.results.label_set import LabelSet, load_label_set
from easyseg.weights.bundle import bundle_folder, read_bundle
from easyseg.weights.cache import cached_weights
from easyseg.weights.files import entry_of, layout_of
from easyseg.weights.manifest import WeightSet, weight_set

__all__ = ["Located", "locate"]


class Located(NamedTuple):
    """A model that has not been built.

    Attributes:
        config: Its network.
        label_set: Its classes.
        layout: How its weights are laid out: a row of the layout table.
        weights: Where they lie; `None` for published ones that are not in the cache.
        entry: The published ones, if that is what the name means.
    """

    config: ModelConfig | HubConfig
    label_set: LabelSet
    layout: str
    weights: Path | None
    entry: WeightSet | None = None


def locate(
    model: str | os.PathLike[str],
    *,
    like: str | None = None,
    output_stride: int | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> Located:
    """Finds a model that is not "hub:"; nothing is downloaded.

    Args:
        model: As for `easyseg.weights.loader.open_model`, and so the others.
        like: The published weights whose network and classes a file has.
        output_stride: Instead of the model's own.
        cache: Folder for downloads.

    Raises:
        UnknownNameError: Neither a known name nor a folder.
        InputError: A file needs `like`.
        ConfigError: The network cannot have this output stride.
        WeightsError: There is no such file, or the folder is no bundle.
    """
    file_layout = layout_of(model)
    folder = None if file_layout else bundle_folder(model)
    if folder is not None:
        bundle = read_bundle(folder)
        found = Located(bundle.config, bundle.label_set, "bundle", bundle.weights)
    elif file_layout:
        entry = entry_of(Path(model), like)
        found = Located(entry.model, load_label_set(entry.labels), file_layout, Path(model))
    else:
        entry = weight_set(str(model))
        found = Located(
            entry.model,
            load_label_set(entry.labels),
            entry.layout,
            cached_weights(entry, cache=cache),
            entry,
        )
    if output_stride is None:
        return found
    return found._replace(config=found.config.replace(output_stride=output_stride))
