"""`easyseg check`: what a data set holds, and what is wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

__all__ = ["check"]


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--format", "format_name", help="If it shall not be guessed: paired, coco, voc, …")
@click.option("--classes", help="With commas: those to keep, or the names of the masks' ids.")
@click.option("--ignore", help="With commas: classes, by name or id, that do not count.")
@click.option("--sheet", type=click.Path(path_type=Path), help="Write a picture of samples here.")
@click.option("--quick", is_flag=True, help="Read masks, but of photos only the headers.")
def check(
    source: Path,
    format_name: str | None,
    classes: str | None,
    ignore: str | None,
    sheet: Path | None,
    quick: bool,
) -> None:
    """Look through the data set SOURCE before training; exit code 1 if it cannot be trained on.

    \b
    easyseg check my_folder --sheet sheet.png
    easyseg check street --classes road,car,person --ignore 11
    """  # noqa: D301  (\b is click's mark for lines to keep)
    from easyseg.cli.options import names_and_ids  # noqa: PLC0415
    from easyseg.datasets import open_dataset  # noqa: PLC0415  (NumPy and OpenCV)
    from easyseg.datasets.check import check as examine  # noqa: PLC0415
    from easyseg.datasets.sheet import draw_sheet  # noqa: PLC0415
    from easyseg.writing import write_image  # noqa: PLC0415

    dataset = open_dataset(
        source,
        format=format_name,
        classes=[str(name) for name in names_and_ids(classes) or ()] or None,
        ignore=names_and_ids(ignore) or (),
    )
    report = examine(dataset, quick=quick)
    click.echo(str(report))
    if sheet is not None:
        click.echo(f"sheet    {write_image(sheet, draw_sheet(dataset))}")
    if report.fatal:
        sys.exit(1)
