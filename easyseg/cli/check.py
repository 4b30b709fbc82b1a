"""`easyseg check`: what a data set holds, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import click

from easyseg.cli import command
from easyseg.cli.options import A_PATH, MAX_PIXELS, data_options, echo, echo_report
from easyseg.datasets import DatasetOptions


@command()
@click.argument("source", type=A_PATH)
@data_options
@click.option(
    "--sheet",
    type=A_PATH,
    help="Write a contact sheet of samples, such as sheet.png.",
)
@MAX_PIXELS
@click.option("--quick", is_flag=True, help="Read only the headers of images, all of the masks.")
def check(
    source: Path,
    data_options: DatasetOptions,
    sheet: Path | None,
    max_pixels: int | None,  # noqa: ARG001  (set for all that is read)
    quick: bool,
) -> int:
    """Check the data set SOURCE before training; exit code 1 if it cannot be trained on.

    \b
    easyseg check my_folder --sheet sheet.png
    easyseg check street --classes road,car,person --ignore 11
    """  # noqa: D301  (\b is click's mark for lines to keep)
    from easyseg.datasets import open_with_options  # noqa: PLC0415  (NumPy and OpenCV)
    from easyseg.datasets.check import check_dataset  # noqa: PLC0415
    from easyseg.datasets.check.sheet import dataset_sheet  # noqa: PLC0415
    from easyseg.io.find_images import require_writable  # noqa: PLC0415
    from easyseg.io.write_image import check_extension, write_image  # noqa: PLC0415

    if sheet is not None:
        check_extension(sheet.suffix, name=str(sheet))
        require_writable(sheet.parent)
    dataset = open_with_options(source, data_options)
    report = check_dataset(dataset, quick=quick)
    echo_report(report)
    if sheet is not None:
        echo(f"Contact sheet: {write_image(sheet, dataset_sheet(dataset))}")
    return 1 if report.errors else 0
