"""Weights files of others, opened by their path: which network and classes they are of."""

from __future__ import annotations

import os
from pathlib import Path

from easyseg.errors import InputError, WeightsError
from easyseg.utils.registry import unknown_name
from easyseg.weights.manifest import WeightSet, weight_set, weight_sets

__all__ = ["entry_of", "file_format_of"]

FILE_FORMATS = {".h5": "legacy_h5", ".pb": "frozen_graph"}  # by ending


def file_format_of(model: str | os.PathLike[str]) -> str | None:
    """The row of the file_format table for a file of this ending; `None` if it is no weights file."""
    return FILE_FORMATS.get(Path(model).suffix.lower())


def entry_of(file: Path, architecture: str | None) -> WeightSet:
    """The weights `architecture`, else the published .h5 file of this name.

    Files that share a name share their network too.

    Raises:
        WeightsError: There is no such file.
        InputError: It does not say what it is, and there is no `architecture`.
        UnknownNameError: No published file or weights have this name.
    """
    if not file.is_file():
        raise WeightsError(
            f"{file} does not exist; check the path (working folder {Path.cwd()}), or name a model "
            "that is downloaded (`easyseg models`)."
        )
    if architecture is not None:
        return weight_set(architecture)
    if file.suffix.lower() == ".pb":
        raise InputError(
            f"{file} does not say which network it is; name the weights that have the same one: "
            'architecture="xception65.voc".'
        )
    known = [e for e in weight_sets().values() if e.url.endswith(".h5")]
    for entry in known:
        if Path(entry.url).name == file.name:
            return entry
    names = sorted({Path(e.url).name for e in known})
    raise unknown_name("weights file", file.name, names)
