"""From a model's name or folder to a network with its weights, ready to run."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any, NamedTuple

from easyseg._keras import keras_defaults, variables_without_values
from easyseg.errors import WeightsError
from easyseg.models.build import build_model
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import PREFIX, KerasHubConfig, fixed_by_kerashub, is_hub
from easyseg.models.kerashub.network import read_preset
from easyseg.results.label_set import LabelSet
from easyseg.weights.bundle import CONFIG
from easyseg.weights.cache import fetch_weights, import_weights
from easyseg.weights.damage import damaged
from easyseg.weights.exported import not_trainable
from easyseg.weights.manifest import weight_set
from easyseg.weights.network_file import ExportedConfig
from easyseg.weights.readers import load_weights
from easyseg.weights.resolve import ModelSource, refuse_architecture, resolve

SMALLEST_NUMBER = 2  # bytes of a float16, the smallest that saved models have


class LoadedModel(NamedTuple):
    """A network with weights.

    Attributes:
        model: The `keras.Model`, as of `build_model`.
        config: Its config.
        label_set: The classes of its outputs.
        folder: The saved model that holds these weights, so that another process can open it.
    """

    model: Any
    config: ModelConfig | KerasHubConfig
    label_set: LabelSet
    folder: Path | None = None


@keras_defaults()
def load_model(
    model: str | os.PathLike[str],
    *,
    architecture: str | None = None,
    output_stride: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> LoadedModel:
    """Builds a network and loads its weights, which are downloaded if they are not in the cache.

    See `SemanticSegmentation` for the arguments and errors.
    """
    if is_hub(model):
        refuse_architecture(model, architecture)
        if output_stride is not None:  # before any download
            raise fixed_by_kerashub("output_stride")
        return LoadedModel(*read_preset(str(model).removeprefix(PREFIX)))
    source = resolve(
        model, architecture=architecture, output_stride=output_stride, cache_dir=cache_dir
    )
    config = source.config
    if isinstance(config, ExportedConfig):
        raise not_trainable(model)
    network = _build(source, config)
    load = functools.partial(load_weights, network, file_format=source.file_format)
    path = source.weights
    if path is None:
        assert source.entry is not None  # noqa: S101  (for mypy)
        path = fetch_weights(source.entry, cache_dir=cache_dir, progress=progress, verify=load)
    load(path)
    return LoadedModel(network, config, source.label_set)


@keras_defaults()
def import_file(
    name: str, file: str | os.PathLike[str], *, cache_dir: str | os.PathLike[str] | None = None
) -> Path:
    """Imports a weights file of a name that was downloaded by other means; see `import_weights`."""
    entry = weight_set(name)
    network = build_model(entry.model)
    verify = functools.partial(load_weights, network, file_format=entry.file_format)
    return import_weights(entry, file, cache_dir=cache_dir, verify=verify)


def _build(source: ModelSource, config: ModelConfig | KerasHubConfig) -> Any:
    """The network; one of a saved model has no more variables than its file holds."""
    if source.file_format != "bundle" or source.weights is None:
        return build_model(config)
    file = source.weights.with_name(CONFIG)
    with damaged(file, cure="Save the model again."):
        if config.unusual:
            with variables_without_values():
                parameters = build_model(config).count_params()
            if SMALLEST_NUMBER * parameters > source.weights.stat().st_size:
                raise WeightsError(
                    f"{file} describes a network of {parameters} parameters, which "
                    f"{source.weights.name} does not hold. Save the model again."
                )
        return build_model(config)
