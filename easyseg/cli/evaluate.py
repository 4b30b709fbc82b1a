"""`easyseg evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from easyseg.cli import command
from easyseg.cli.cluster import evaluate_on, ray_options, refuse_on_cluster
from easyseg.cli.options import (
    QUIET,
    SHARD,
    Choice,
    ChosenModel,
    data_options,
    echo,
    echo_report,
    inference_options,
)
from easyseg.datasets import ALL, SPLITS, DatasetOptions, open_with_options
from easyseg.datasets.splits import with_validation_split
from easyseg.distributed.scores import save_scores
from easyseg.errors import InputError
from easyseg.evaluation.class_mapping import map_classes
from easyseg.evaluation.scores import Scores
from easyseg.io.csv_table import write_csv
from easyseg.io.find_images import require_writable
from easyseg.io.shards import Shard

A_FILE = click.Path(dir_okay=False, path_type=Path)


def _pairs(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str | None]:
    """`human=person` -> `{"human": "person"}`; `pole=` -> `{"pole": None}`."""
    class_map: dict[str, str | None] = {}
    for value in values:
        name, equals, model_name = value.rpartition("=")
        if not equals or not name.strip():
            raise click.BadParameter(
                f"expected CLASS=MODEL_CLASS, such as human=person, got {value!r}; "
                "pole= ignores a class."
            )
        if name in class_map:
            raise click.BadParameter(f"class {name!r} is given twice; map it once.")
        class_map[name] = model_name or None
    return class_map


SPLIT = click.option(
    "--split",
    type=Choice([*SPLITS, ALL]),
    help="Which images.  [default: val, or all of a data set that names no splits]",
)
CLASS_MAP = click.option(
    "--class-map",
    multiple=True,
    callback=_pairs,
    metavar="CLASS=MODEL_CLASS",
    help="A class of the data set and its name in the model: human=person; pole= is ignored.",
)
BOUNDARY = click.option(
    "--boundary/--no-boundary", default=True, help="Compute boundary metrics.  [default: on]"
)


@command()
@click.argument("data", metavar="DATA")
@data_options
@SPLIT
@CLASS_MAP
@BOUNDARY
@click.option("--json", "json_file", type=A_FILE, help="Write all metrics as JSON.")
@click.option("--csv", "csv_file", type=A_FILE, help="Write the table of classes as CSV.")
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for charts, contact sheets, the worst images and report.html.",
)
@SHARD
@ray_options
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
    shard: str | None,
    cluster: dict[str, Any] | None,
    model: ChosenModel,
    quiet: bool,
) -> None:
    """Evaluate a model on DATA, a data set of images with ground truth.

    Metrics are from 0 to 1, by the data set's classes, at the images' own sizes.
    """
    if shard is not None:
        Shard.parse(shard)
        _check_shard_files(json_file, {"csv": csv_file, "report": report})
    dataset = open_with_options(data, data_options)
    # errors come before the network is loaded
    if (split or dataset.default_split) == "val":
        dataset = with_validation_split(dataset)
    dataset.split(split)
    if model.source is not None:
        map_classes(model.source.label_set, dataset.label_set, class_map)
    for file in filter(None, (json_file, csv_file, report and report / "report.html")):
        require_writable(file.parent)
    how: dict[str, Any] = {
        "split": split,
        "class_map": class_map,
        "boundary": boundary,
        "progress": not quiet,
    }
    if cluster is None:
        scores = model.open().evaluate(dataset, report=report, shard=shard, **how)
    else:
        refuse_on_cluster(report=report, shard=shard)
        scores = evaluate_on(cluster, model, data, data_options, **how)
    for note in (*dataset.notes, *dataset.warnings):
        echo_report(note)
    echo(scores)
    if json_file is not None:
        save_scores(scores, json_file)
    if csv_file is not None:
        write_table(scores, csv_file)
    if report is not None:
        echo(f"-> {report / 'report.html'}")


def _check_shard_files(json_file: Path | None, of_all: Mapping[str, Path | None]) -> None:
    if json_file is None:
        raise InputError("shard= needs json=scores.json, whose parts `easyseg merge` joins.")
    for name, path in of_all.items():
        if path is not None:
            raise InputError(f"{name}= needs the whole data set; leave it out for a shard.")


def write_table(scores: Scores, path: Path) -> None:
    """Writes the metrics of each class as CSV."""
    rows = scores.rows()
    write_csv(path, [rows[0], *(row.values() for row in rows)])
