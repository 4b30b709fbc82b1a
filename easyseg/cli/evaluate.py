"""`easyseg evaluate`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import click

from easyseg.api import SemanticSegmentation
from easyseg.cli._startup import load_framework
from easyseg.cli.options import MODEL, QUIET, data_options, dataset_options, inference_options
from easyseg.datasets import ALL, SPLITS, open_with_options
from easyseg.io.atomic import write_bytes

__all__ = ["evaluate"]

A_FILE = click.Path(dir_okay=False, path_type=Path)


def _pairs(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str | None]:
    for value in values:
        if "=" not in value:
            raise click.BadParameter(f"{value!r} is no pair such as human=person.")
    parts = (value.rpartition("=") for value in values)
    return {theirs: ours or None for theirs, _, ours in parts}


@click.command()
@click.argument("data", metavar="DATA")
@MODEL
@data_options
@click.option(
    "--split",
    type=click.Choice([*SPLITS, ALL]),
    help="Which images.  [default: val, or all of a data set that names no splits]",
)
@click.option(
    "--class-map",
    multiple=True,
    callback=_pairs,
    metavar="DATA=MODEL",
    help="A class of the data set and its name in the model: human=person; pole= leaves it out.",
)
@click.option("--boundary/--no-boundary", default=True, help="Measure borders.  [default: on]")
@click.option("--json", "json_file", type=A_FILE, help="Write all figures as JSON.")
@click.option("--csv", "csv_file", type=A_FILE, help="Write the table of classes as CSV.")
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for charts, sheets, the worst images and report.html.",
)
@inference_options
@QUIET
def evaluate(
    data: str,
    model: str | None,
    format_name: str | None,
    classes: str | None,
    ignore: str | None,
    split: str | None,
    class_map: dict[str, str | None],
    boundary: bool,
    json_file: Path | None,
    csv_file: Path | None,
    report: Path | None,
    batch_size: int | None,
    quiet: bool,
    **view: Any,
) -> None:
    """Say how good a model is on DATA, a data set with images and their truths.

    Figures are from 0 to 1, by the data set's classes, at the images' own sizes.
    """
    dataset = open_with_options(data, dataset_options(format_name, classes, ignore))
    dataset.split(split)  # errors come before the network is loaded
    load_framework()
    seg = SemanticSegmentation(model, batch_size=batch_size, progress=not quiet, **view)
    scores = seg.evaluate(
        dataset,
        split=split,
        class_map=class_map,
        boundary=boundary,
        report=report,
        progress=not quiet,
    )
    for note in dataset.notes:
        click.echo(note)
    click.echo(scores)
    if json_file is not None:
        content = json.dumps(scores.to_dict(), ensure_ascii=False, indent=1)
        write_bytes(json_file, content.encode() + b"\n")
    if csv_file is not None:
        write_bytes(csv_file, _as_csv(scores.rows()))


def _as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, rows[0])
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()
