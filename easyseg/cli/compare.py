"""`easyseg compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from easyseg.api import SemanticSegmentation
from easyseg.cli import command
from easyseg.cli.evaluate import BOUNDARY, CLASS_MAP, SPLIT
from easyseg.cli.options import (
    MAX_PIXELS,
    QUIET,
    data_options,
    echo,
    echo_report,
    several_models_options,
)
from easyseg.datasets import DatasetOptions, open_with_options
from easyseg.datasets.splits import with_validation_split
from easyseg.errors import InputError
from easyseg.evaluation.compare import compare as compare_models
from easyseg.io.find_images import require_writable
from easyseg.serve.names import named_models


@command()
@click.argument("data", metavar="DATA")
@click.option(
    "-m",
    "--model",
    multiple=True,
    help="Model as for `easyseg segment`, or NAME=MODEL to give it a name; at least twice. The "
    "others are compared with the first.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for comparison.json, classes.csv and differences.png, a contact sheet.",
)
@data_options
@SPLIT
@CLASS_MAP
@BOUNDARY
@several_models_options
@MAX_PIXELS
@QUIET
def compare(
    data: str,
    model: tuple[str, ...],
    out: Path | None,
    data_options: DatasetOptions,
    model_options: dict[str, Any],
    max_pixels: int | None,
    quiet: bool,
    **how: Any,
) -> None:
    """Compare models on DATA, a data set of images with ground truth.

    Prints the IoU of each class, sorted by difference, and the overall metrics.

    \b
    easyseg compare my_folder -m mini -m mine=runs/mine -o comparison
    """  # noqa: D301  (\b is click's mark for lines to keep)
    if len(model) < 2:
        raise InputError("easyseg compare needs two models or more: --model A --model B.")
    names = named_models(model)
    dataset = open_with_options(data, data_options)
    if (how["split"] or dataset.default_split) == "val":
        dataset = with_validation_split(dataset)
    dataset.split(how["split"])  # errors come before the networks are loaded
    if out is not None:
        require_writable(out)
    options = {**model_options, "max_pixels": max_pixels, "progress": not quiet}
    models = {name: SemanticSegmentation(path, **options) for name, path in names.items()}
    found = compare_models(models, dataset, out=out, progress=not quiet, **how)
    for note in (*dataset.notes, *dataset.warnings):
        echo_report(note)
    echo(found)
    if out is not None:
        echo(f"-> {out}")
