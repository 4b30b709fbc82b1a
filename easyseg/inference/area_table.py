"""The areas of a run as CSV: a line for each image, a column for each class."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from easyseg.errors import InputError
from easyseg.io.atomic import output_errors, temporary_path
from easyseg.io.csv_table import write_csv
from easyseg.io.find_images import Job, require_writable

EXTENSION = ".csv"


def check_area_table(path: Path, jobs: Iterable[Job]) -> None:
    """Raises what writing the table would raise, before any work is done.

    Raises:
        InputError: It is not named as a CSV file, or is a source or a result.
        OutputError: It cannot be written.
    """
    if path.suffix.lower() != EXTENSION:
        raise InputError(f"csv={str(path)!r} must end in .csv, such as 'areas.csv'.")
    files = {os.path.realpath(file) for job in jobs for file in (job.image.source, job.target)}
    if os.path.realpath(path) in files:
        raise InputError(f"The areas would overwrite {path}. Choose another csv file.")
    require_writable(path.parent)
    with output_errors(path):
        temporary_path(path)  # it is no folder


def write_area_table(
    path: Path, jobs: Sequence[Job], lines: Iterable[Mapping[str, Any]], names: Mapping[int, str]
) -> None:
    """Writes the fraction of each image, 0 to 1, that each class has.

    Text that a spreadsheet would compute gets an apostrophe in front, so that it remains text.

    Args:
        path: The file, which is replaced as a whole.
        jobs: The images, in the order of the lines; one without a result has none.
        lines: Lines of the results log of images that are done.
        names: The classes that have a column, by id.
    """
    done = {(line["source"], line["result"]): line for line in lines}
    rows: list[list[Any]] = [["source", "width", "height", *names.values()]]
    for job in jobs:
        line = done.get((job.image.source, str(job.target)))
        if line is not None:
            ratios = {entry["id"]: entry["ratio"] for entry in line["classes"]}
            columns = (ratios.get(class_id, 0) for class_id in names)
            rows.append([job.image.source, line["width"], line["height"], *columns])
    write_csv(path, rows, encoding="utf-8-sig")
