"""`export_model`: writes a model as a file of another format, checked before it is kept."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from easyseg.export.options import FORMATS, ExportOptions, check_target
from easyseg.export.real_images import RealImages, find_real_images
from easyseg.io.atomic import exchange_folder, output_errors, part_path, remove, remove_leftovers
from easyseg.weights.exported import weights_sha256
from easyseg.weights.provenance import weights_provenance

if TYPE_CHECKING:
    from easyseg.export.check import Agreement
    from easyseg.export.check_real_images import RealImageAgreement
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
        on_real_images: The comparison on real images; `None` where there were none.
    """

    path: Path
    format: str
    megabytes: float
    milliseconds: float | None = None
    labels: float | None = None
    difference: float | None = None
    on_real_images: RealImageAgreement | None = None

    def __str__(self) -> str:
        text = f"{self.path}: {self.format}, {self.megabytes:.1f} MB"
        if self.milliseconds is None or self.labels is None:
            return f"{text}, not checked"
        found = self.on_real_images
        labels = self.labels if found is None else found.labels
        text += (
            f", {self.milliseconds:.1f} ms per call, {100 * labels:.3f} % of the labels as Keras"
        )
        if found is None:
            return text
        text += f" on {found.images} images"
        if found.before is None or found.after is None:
            return text
        return f"{text}, mIoU {100 * found.after:.2f} % (Keras {100 * found.before:.2f} %)"


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
        ImageError: An image to calibrate with or to compare on cannot be read.
        DatasetError: The data set of these cannot be read.
        InputError: Its classes are not the model's, or the path is that of another format.
        ExportError: The network cannot be exported, or the file differs from Keras.
    """
    with output_errors(path):
        check_target(path, options.format)
    real_images = find_real_images(options)
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        temporary = part_path(path)
        temporary.mkdir()  # what cannot be written is refused before the network is built
    try:
        new = temporary / path.name
        loaded = load()
        agreement = _write(new, path, options, loaded, real_images, name=name, source=source)
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
        on_real_images=agreement.on_real_images,
    )


def _write(
    path: Path,
    target: Path,
    options: ExportOptions,
    loaded: LoadedModel,
    real_images: RealImages,
    *,
    name: str,
    source: ModelSource | None,
) -> Agreement | None:
    """Writes the file, compares it with Keras, unless that is not wanted, and adds the result.

    Errors name `target`, the name that it will have.
    """
    from easyseg._keras import keras_defaults  # noqa: PLC0415  (loads Keras)
    from easyseg.export.check import check_file  # noqa: PLC0415
    from easyseg.export.graph import make_graph  # noqa: PLC0415

    weights = source and source.weights
    sha256 = "" if weights is None else weights_sha256(weights)
    provenance = weights_provenance(source, name)
    classes = real_images.classes(loaded.label_set)
    size = options.sides or loaded.config.input_size
    calibration = real_images.calibrate(size) if options.precision == "int8" else []
    with keras_defaults():
        export_graph = make_graph(loaded, options, name=name, sha256=sha256, provenance=provenance)
        export_graph = export_graph._replace(calibration=[image.pixels for image in calibration])
        module = importlib.import_module(FORMATS[options.format].module)
        with output_errors(target):
            module.write(export_graph, path)
        agreement = None
        if options.check is not False:
            compared = real_images.compare(size, classes)
            agreement = check_file(
                path, export_graph, loaded.model, module.write, compared, classes
            )
        result = agreement and agreement.to_dict(options.output)
        export_graph = export_graph._replace(metadata={**export_graph.metadata, "check": result})
        with output_errors(target):
            module.add_metadata(export_graph, path)  # leaves what was checked as it is
        return agreement
