"""`easyseg evaluate`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from easyseg.api import SemanticSegmentation
from easyseg.cli import command
from easyseg.cli.options import QUIET, data_options, echo, inference_options
from easyseg.datasets import ALL, SPLITS, DatasetOptions, open_with_options
from easyseg.io.atomic import write_bytes

__all__ = ["evaluate"]

A_FILE = click.Path(dir_okay=False, path_type=Path)


def _pairs(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str | None]:
    pairs: dict[str, str | None] = {}
    for value in values:
        theirs, *ours = (part.strip() for part in value.split("="))
        if not theirs or len(ours) != 1:
            raise click.BadParameter(f"{value!r} must be a pair such as human=person.")
        if theirs in pairs:
            raise click.BadParameter(f"{theirs!r} is mapped twice; give it once.")
        pairs[theirs] = ours[0] or None
    return pairs


@command()
@click.argument("data", metavar="DATA")
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
    data_options: DatasetOptions,
    split: str | None,
    class_map: dict[str, str | None],
    boundary: bool,
    json_file: Path | None,
    csv_file: Path | None,
    report: Path | None,
    open_model: Callable[[], SemanticSegmentation],
    quiet: bool,
) -> None:
    """Measure a model on DATA, a data set with images and their masks.

    Metrics are from 0 to 1, by the data set's classes, at the images' own sizes.
    """
    dataset = open_with_options(data, data_options)
    dataset.split(split)  # errors come before the network is loaded
    seg = open_model()
    scores = seg.evaluate(
        dataset,
        split=split,
        class_map=class_map,
        boundary=boundary,
        report=report,
        progress=not quiet,
    )
    for note in dataset.notes:
        echo(note)
    echo(scores)
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
