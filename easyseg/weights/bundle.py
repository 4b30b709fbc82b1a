"""A bundle: the folder of a saved model (embedded, fine-tuned or converted).

config.json         the ModelConfig, or the KerasHubConfig of a KerasHub network
labels.json         the LabelSet
model.weights.h5    one dataset per variable, under its checkpoint name
card.md             model card: origin, training data, metrics
model.onnx          the same network, exported; optional: images are then segmented without Keras
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from easyseg.errors import InputError, OutputError, UnknownNameError, WeightsError
from easyseg.io.atomic import (
    exchange_folder,
    output_errors,
    part_path,
    remove,
    remove_leftovers,
    restore_folder,
    write_bytes,
)
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import KerasHubConfig
from easyseg.results.label_set import LabelSet
from easyseg.utils.documents import parse_json
from easyseg.utils.registry import nearest, unknown_name
from easyseg.utils.resources import pretrained_path
from easyseg.weights.damage import damaged
from easyseg.weights.manifest import weight_sets
from easyseg.weights.variable_names import named_variables

MINI = "mini"  # the model that is taken if none is named
SCENES = "scenes"
EMBEDDED = (MINI, SCENES)  # included in easyseg, in `pretrained/`

CONFIG, LABELS, WEIGHTS, CARD = "config.json", "labels.json", "model.weights.h5", "card.md"
EXPORTED = "model.onnx"
DTYPES = ("float32", "float16")
LARGEST_JSON = 64 << 20  # bytes
SAVE_AGAIN = "Save the model again."

A_MODEL_IS = (
    f"A model is {MINI!r}, a name from `easyseg models` such as 'xception65.ade20k', the folder of "
    "a saved model or of a run, a file or folder of `easyseg export`, any ONNX file, a weights "
    "file (.h5, .pb), 'hf://' and a repository of the Hugging Face Hub, or 'hub:' and a KerasHub "
    "preset."
)


class Bundle(NamedTuple):
    """The contents of a bundle; `weights` is the path of the weights file."""

    config: ModelConfig | KerasHubConfig
    label_set: LabelSet
    weights: Path


def bundle_folder(model: str | os.PathLike[str]) -> Path | None:
    """The folder of an embedded or saved model; `None` for the name of a published weight set.

    Names take precedence over folders: for a folder called "mini" use "./mini".

    Raises:
        UnknownNameError: Neither a known name nor a folder.
    """
    name, known = str(model), [*EMBEDDED, *weight_sets()]
    if name in EMBEDDED:
        return pretrained_path(name)
    if name in known:
        return None
    restore_folder(Path(model))
    if Path(model).is_dir():
        return Path(model)
    if nearest(name, known):
        raise unknown_name("model (nor a folder)", name, known)
    raise UnknownNameError(
        f"model={name!r} is neither a model's name nor a folder (working folder {Path.cwd()}). "
        f"{A_MODEL_IS}"
    )


def read_card(folder: Path) -> str:
    """The model card of a bundle, in Markdown; empty if there is none."""
    card = folder / CARD
    if not card.is_file() or card.stat().st_size > LARGEST_JSON:
        return ""
    return card.read_text("utf-8", "replace")


def is_bundle(folder: Path) -> bool:
    """Whether the folder has the three files that a bundle needs."""
    return all(os.path.isfile(folder / name) for name in (CONFIG, LABELS, WEIGHTS))  # noqa: PTH113  (no raising)


def read_bundle(folder: Path) -> Bundle:
    """Opens a bundle.

    Raises:
        WeightsError: A file is missing or damaged.
    """
    for name in (CONFIG, LABELS, WEIGHTS):
        if not os.path.isfile(folder / name):  # noqa: PTH113  (no raising)
            raise WeightsError(
                f"{folder}: expected a saved model, but {name} is missing. {A_MODEL_IS}"
            )
    with damaged(folder / CONFIG, cure=SAVE_AGAIN):
        config = config_from_dict(_read_json(folder / CONFIG))
    with damaged(folder / LABELS, cure=SAVE_AGAIN):
        label_set = LabelSet.from_dict(_read_json(folder / LABELS))
    return Bundle(config, label_set, folder / WEIGHTS)


def config_from_dict(values: dict[str, Any]) -> ModelConfig | KerasHubConfig:
    """The config of a network that `to_dict` describes."""
    return (KerasHubConfig if "hub" in values else ModelConfig).from_dict(values)


def _read_json(path: Path) -> Any:
    if path.stat().st_size > LARGEST_JSON:
        raise ValueError(f"{path.name} has more than {LARGEST_JSON >> 20} MiB")
    return parse_json(path.read_text("utf-8"))


def _weights_file(model: Any, dtype: str) -> bytes:
    """The HDF5 file, written in memory: on a full disk HDF5 aborts the process."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, variable in named_variables(model).items():
            file[name] = np.asarray(variable.value, dtype)
    return buffer.getvalue()


def _files(
    model: Any, config: ModelConfig | KerasHubConfig, label_set: LabelSet, card: str, dtype: str
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a bundle's files, the weights last."""
    for name, content in ((CONFIG, config.to_dict()), (LABELS, label_set.to_dict())):
        yield name, (json.dumps(content, indent=2) + "\n").encode()
    yield CARD, card.encode("utf-8", "backslashreplace")
    yield WEIGHTS, _weights_file(model, dtype)


def save_bundle(
    folder: Path,
    model: Any,
    config: ModelConfig | KerasHubConfig,
    label_set: LabelSet,
    *,
    card: str = "",
    dtype: str = "float32",
) -> Path:
    """Writes a bundle, completely or not at all.

    Args:
        folder: Target; must not exist, or be a bundle, which is replaced.
        model: A network of `build_model(config)`.
        config: Its config.
        label_set: Its classes.
        card: Model card, in Markdown.
        dtype: "float32", or "float16" for half the size.

    Raises:
        InputError: Unknown dtype.
        OutputError: The folder is not a bundle, or cannot be written.
    """
    if dtype not in DTYPES:
        raise InputError(f"dtype: expected {' or '.join(DTYPES)}, got {dtype!r}.")
    restore_folder(folder)
    if folder.exists() and not is_bundle(folder):
        raise OutputError(f"{folder} exists and is not a saved model; choose another folder.")
    new = part_path(folder.absolute())
    try:
        with output_errors(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder.parent)
            new.mkdir()
            for name, content in _files(model, config, label_set, card, dtype):
                (new / name).write_bytes(content)
            exchange_folder(new, folder)
    finally:
        remove(new)
    return folder


def update_bundle(
    folder: Path,
    model: Any,
    config: ModelConfig | KerasHubConfig,
    label_set: LabelSet,
    *,
    card: str,
) -> None:
    """Writes a bundle's files into a run directory, each atomically; see `save_bundle`."""
    for name, content in _files(model, config, label_set, card, "float32"):
        write_bytes(folder / name, content)
