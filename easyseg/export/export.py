"""`export_model`: writes a model as a file of another format, checked before it is kept."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from easyseg.export.options import FORMATS, ExportOptions, check_target
from easyseg.io.atomic import exchange_folder, output_errors, part_path, remove, remove_leftovers
from easyseg.weights.exported import weights_sha256
from easyseg.weights.provenance import weights_provenance

if TYPE_CHECKING:
    from easyseg.export.check import Agreement
    from easyseg.weights.loader import LoadedModel
    from easyseg.weights.resolve import ModelSource

__all__ = ["ExportSummary", "export_model"]


class ExportSummary(NamedTuple):
    """What was exported.

    Attributes:
        path: The file or folder.
        format: Its format.
        megabytes: Its size.
        milliseconds: For one call in its own runtime; `None` without a check.
        labels: Fraction of the labels that are those of Keras; `None` without a check.
        difference: Largest difference of a logit, as a fraction of the largest; as `labels`.
    """

    path: Path
    format: str
    megabytes: float
    milliseconds: float | None = None
    labels: float | None = None
    difference: float | None = None

    def __str__(self) -> str:
        text = f"{self.path}: {self.format}, {self.megabytes:.1f} MB"
        if self.milliseconds is None or self.labels is None:
            return f"{text}, not checked"
        return (
            f"{text}, {self.milliseconds:.1f} ms per call, "
            f"{100 * self.labels:.3f} % of the labels as Keras"
        )


def export_model(
    path: Path,
    options: ExportOptions,
    load: Callable[[], LoadedModel],
    *,
    name: str = "",
    source: ModelSource | None = None,
) -> ExportSummary:
    """Writes a model, completely and checked or not at all.

    Args:
        path: Where to; a file there is replaced.
        options: What is exported and how.
        load: Loads the model; called once the arguments have been checked.
        name: The model's name, for the file's metadata.
        source: Its files, as far as there are any.

    Raises:
        OutputError: The path cannot be written.
        ExportError: The network cannot be exported, or the file differs from Keras.
    """
    entry = FORMATS[options.format]
    check_target(path, entry.extension)
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        temporary = part_path(path)
        temporary.mkdir()  # what cannot be written is refused before the network is built
    try:
        new = temporary / path.name
        loaded = load()
        agreement = _write(new, options, loaded, name=name, source=source)
        files = [new, *new.rglob("*")]
        megabytes = sum(file.stat().st_size for file in files if file.is_file()) / 1e6
        with output_errors(path):
            if new.is_dir():
                exchange_folder(new, path)
            else:
                new.replace(path)
    finally:
        remove(temporary)
    summary = ExportSummary(path, options.format, megabytes)
    if agreement is None:
        return summary
    return summary._replace(
        milliseconds=agreement.milliseconds,
        labels=agreement.labels,
        difference=agreement.difference,
    )


def _write(
    path: Path,
    options: ExportOptions,
    loaded: LoadedModel,
    *,
    name: str,
    source: ModelSource | None,
) -> Agreement | None:
    """Writes the file, compares it with Keras, unless that is not wanted, and adds the result."""
    from easyseg._keras import keras_defaults  # noqa: PLC0415  (loads Keras)
    from easyseg.export.check import check_file  # noqa: PLC0415
    from easyseg.export.graph import contract as contract_of  # noqa: PLC0415

    weights = source and source.weights
    sha256 = "" if weights is None else weights_sha256(weights)
    provenance = weights_provenance(source, name)
    with keras_defaults():
        contract = contract_of(loaded, options, name=name, sha256=sha256, provenance=provenance)
        module = importlib.import_module(FORMATS[options.format].module)
        with output_errors(path):
            module.write(contract, path)
        agreement = None
        if options.check:
            agreement = check_file(path, contract, loaded.model, module.write)
        result = agreement and agreement.to_dict(options.output)
        contract = contract._replace(metadata={**contract.metadata, "check": result})
        with output_errors(path):
            module.add_metadata(contract, path)  # leaves what was checked as it is
        return agreement
