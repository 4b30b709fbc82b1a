"""Which network, classes and weights a model's name, folder or file means, without Keras."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import KerasHubConfig
from easyseg.results.label_set import LabelSet, load_label_set
from easyseg.weights.bundle import bundle_folder, read_bundle
from easyseg.weights.cache import cached_weights
from easyseg.weights.files import entry_of, file_format_of
from easyseg.weights.manifest import WeightSet, weight_set

__all__ = ["ModelSource", "resolve"]


class ModelSource(NamedTuple):
    """A model that has not been built.

    Attributes:
        config: Its network.
        label_set: Its classes.
        file_format: How its weights are laid out: a row of the file_format table.
        weights: Where they lie; `None` for published ones that are not in the cache.
        entry: The published ones, if that is what the name means.
    """

    config: ModelConfig | KerasHubConfig
    label_set: LabelSet
    file_format: str
    weights: Path | None
    entry: WeightSet | None = None


def resolve(
    model: str | os.PathLike[str],
    *,
    architecture: str | None = None,
    output_stride: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> ModelSource:
    """Finds a model that is not "hub:"; nothing is downloaded.

    Args:
        model: As for `easyseg.weights.loader.load_model`, and so the others.
        architecture: The published weights whose network and classes a file has.
        output_stride: Instead of the model's own.
        cache_dir: Folder for downloads.

    Raises:
        UnknownNameError: Neither a known name nor a folder.
        InputError: A file needs `architecture`.
        ConfigError: The network cannot have this output stride.
        WeightsError: There is no such file, or the folder is no bundle.
    """
    file_format = file_format_of(model)
    folder = None if file_format else bundle_folder(model)
    if folder is not None:
        bundle = read_bundle(folder)
        found = ModelSource(bundle.config, bundle.label_set, "bundle", bundle.weights)
    elif file_format:
        entry = entry_of(Path(model), architecture)
        found = ModelSource(entry.model, load_label_set(entry.labels), file_format, Path(model))
    else:
        entry = weight_set(str(model))
        found = ModelSource(
            entry.model,
            load_label_set(entry.labels),
            entry.file_format,
            cached_weights(entry, cache_dir=cache_dir),
            entry,
        )
    if output_stride is None:
        return found
    return found._replace(config=found.config.replace(output_stride=output_stride))
