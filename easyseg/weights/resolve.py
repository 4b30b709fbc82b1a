"""Which network, classes and weights a model's name, folder or file refers to, without Keras."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from easyseg.errors import InputError, WeightsError
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import KerasHubConfig
from easyseg.results.label_set import LabelSet, load_label_set
from easyseg.utils.files import system_errors
from easyseg.utils.registry import unknown_name
from easyseg.weights.bundle import EMBEDDED, bundle_folder, is_bundle, read_bundle
from easyseg.weights.cache import cached_weights
from easyseg.weights.exported import EXTENSIONS, is_exported, read_exported, refuse_other_format
from easyseg.weights.foreign import ForeignOptions
from easyseg.weights.hugging_face import fetch, is_hugging_face
from easyseg.weights.manifest import WeightSet, weight_set, weight_sets
from easyseg.weights.network_file import ExportedConfig

AnyPath = str | os.PathLike[str]

FILE_FORMATS = {".h5": "keras2_h5", ".hdf5": "keras2_h5", ".pb": "frozen_graph"}  # by extension


class ModelSource(NamedTuple):
    """A model that has not been built.

    Attributes:
        config: Its network.
        label_set: Its classes.
        file_format: The format of its weights, a name in the registry of readers; or that of an
            exported file, such as "onnx".
        weights: Their path; `None` for published ones that are not in the cache.
        entry: The weight set, for a name and for a weights file.
    """

    config: ModelConfig | KerasHubConfig | ExportedConfig
    label_set: LabelSet
    file_format: str
    weights: Path | None
    entry: WeightSet | None = None


def resolve(
    model: AnyPath,
    *,
    architecture: str | None = None,
    output_stride: int | None = None,
    cache_dir: AnyPath | None = None,
    foreign: ForeignOptions | None = None,
) -> ModelSource:
    """Resolves a model that is not "hub:"; nothing is downloaded, except what "hf://" names.

    The arguments are those of `easyseg.weights.loader.load_model`, and `foreign` what is told of
    an ONNX file from elsewhere; with `None` such files are refused.

    Raises:
        UnknownNameError: Neither a known name nor a file or folder.
        InputError: A file needs `architecture`, or is no model; or `architecture` is given for
            something else.
        ConfigError: The network cannot have this output stride.
        WeightsError: The file does not exist or cannot be read, or the folder is not a bundle.
    """
    if is_hugging_face(model):
        model = fetch(str(model), cache_dir=cache_dir)
    with system_errors(WeightsError, Path(model)):
        source = _source(model, architecture, cache_dir, foreign)
    if foreign is not None and not is_exported(model):
        foreign.refuse(model)
    if output_stride is not None:
        source = source._replace(config=source.config.replace(output_stride=output_stride))
    return source


def _source(
    model: AnyPath,
    architecture: str | None,
    cache_dir: AnyPath | None,
    foreign: ForeignOptions | None,
) -> ModelSource:
    if is_exported(model):
        refuse_architecture(model, architecture)
        source = _exported(Path(model), foreign)
    elif Path(model).suffix.lower() in FILE_FORMATS or (
        architecture is not None and Path(model).is_file()
    ):
        source = _file(Path(model), architecture)
    else:
        refuse_architecture(model, architecture)
        _refuse_other_file(model)
        source = _bundle(model) or _published(str(model), cache_dir)
    return source


def refuse_architecture(model: AnyPath, architecture: str | None) -> None:
    """Raises `InputError` if `architecture` is given for something other than a weights file."""
    if architecture is not None:
        raise InputError(
            f"architecture={architecture!r} is for weights files (.h5, .pb), but {model} is not "
            "one; leave it out."
        )


def _refuse_other_file(model: AnyPath) -> None:
    if Path(model).is_file() and str(model) not in (*EMBEDDED, *weight_sets()):
        raise InputError(
            f"{model} is not a file that opens as a model. Give the folder of a saved model or a "
            f"training run, a file of weights ({', '.join(FILE_FORMATS)}) or of `easyseg export` "
            f"({', '.join(EXTENSIONS)}), or a name from `easyseg "
            "models`. For weights under another extension name the weight set with the same "
            "network and classes: architecture='xception65.voc'. An archive with a checkpoint is "
            "imported by `easyseg download NAME FILE`."
        )


def _exported(path: Path, foreign: ForeignOptions | None) -> ModelSource:
    file = read_exported(path, foreign)
    return ModelSource(file.config, file.label_set, file.file_format, path)


def _bundle(model: AnyPath) -> ModelSource | None:
    folder = bundle_folder(model)
    if folder is None:
        return None
    bundle = read_bundle(folder)
    return ModelSource(bundle.config, bundle.label_set, "bundle", bundle.weights)


def _published(name: str, cache_dir: AnyPath | None) -> ModelSource:
    entry = weight_set(name)
    weights = cached_weights(entry, cache_dir=cache_dir)
    label_set = load_label_set(entry.labels)
    return ModelSource(entry.model, label_set, entry.file_format, weights, entry)


def _file(file: Path, architecture: str | None) -> ModelSource:
    if not file.is_file():
        raise WeightsError(
            f"{file} does not exist; check the path (working folder {Path.cwd()}), or use a name "
            "from `easyseg models`, whose weights are downloaded."
        )
    refuse_other_format(file, EXTENSIONS)
    file_format = FILE_FORMATS.get(file.suffix.lower()) or _format_by_content(file)
    entry = _entry_by_file_name(file) if architecture is None else weight_set(architecture)
    return ModelSource(entry.model, load_label_set(entry.labels), file_format, file, entry)


def _format_by_content(file: Path) -> str:
    with file.open("rb") as stream:
        return "keras2_h5" if stream.read(4) == b"\x89HDF" else "frozen_graph"


def _entry_by_file_name(file: Path) -> WeightSet:
    """The weight set whose published .h5 file has this name.

    Files of the same name by several publishers have the same network and classes.
    """
    published: dict[str, WeightSet] = {}
    for entry in weight_sets().values():
        if entry.file_format == "keras2_h5":
            published.setdefault(Path(entry.url).name, entry)
    if file.name in published:
        return published[file.name]
    if is_bundle(file.parent):
        raise InputError(f"{file} is a part of a saved model. Open its folder: {file.parent}.")
    cure = "name the weight set with the same network and classes: architecture='xception65.voc'"
    if file.suffix.lower() == ".pb":
        raise InputError(f"{file} does not record its network; {cure}.")
    raise InputError(f"{unknown_name('weights file', file.name, published)} Or {cure}.")
