"""`easyseg export`: writes a model as one file that runs elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from easyseg.cli import command
from easyseg.cli.options import (
    A_PATH,
    INTEGER,
    NUMBER,
    QUIET,
    SIZE,
    Choice,
    ChosenModel,
    echo,
    network_options,
)
from easyseg.errors import InputError
from easyseg.export.options import (
    ALLOWED_DROP,
    FORMATS,
    OUTPUTS,
    ExportOptions,
    check_target,
    format_of,
)

PRECISIONS = list(dict.fromkeys(name for entry in FORMATS.values() for name in entry.precisions))


class _Batch(click.ParamType):
    name = "batch"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | None:
        if value == "any":
            return None
        if not str(value).isdecimal() or not int(value):
            self.fail(f"{value!r} must be a whole number from 1, or any.", param, ctx)
        return int(value)


def _list_formats(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    table = [("FORMAT", "ENDING", "PRECISIONS", "NEEDS", "RUNS IN")]
    for name, entry in FORMATS.items():
        needs = f"easyseg[{entry.extra}]" if entry.extra else "-"
        table.append((name, entry.extension, ", ".join(entry.precisions), needs, entry.runs_in))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
    context.exit()


@command()
@network_options
@click.option(
    "-o",
    "--out",
    required=True,
    type=A_PATH,
    help=f"File to write; its extension chooses the format: "
    f"{', '.join(entry.extension for entry in FORMATS.values())}.",
)
@click.option("--format", type=Choice(list(FORMATS)), help="Choose the format instead by name.")
@click.option("--size", type=SIZE, metavar="N|HxW", help="Input size.  [default: the model's own]")
@click.option("--dynamic", is_flag=True, help="Accept images of any height and width.")
@click.option(
    "--batch",
    type=_Batch(),
    default=1,
    show_default=True,
    metavar="N|any",
    help="Images that go through the network together.",
)
@click.option(
    "--output", type=Choice(OUTPUTS), default=OUTPUTS[0], show_default=True, help="What the file "
    "returns for an image."
)  # fmt: skip
@click.option(
    "--precision",
    type=Choice(PRECISIONS),
    default=PRECISIONS[0],
    show_default=True,
    help="float16 halves the file; int8 quarters it and needs images.",
)
@click.option(
    "--calibrate", metavar="IMAGES", help="Folder or pattern of about 100 typical images, for int8."
)
@click.option(
    "--data",
    metavar="DATASET",
    help="Data set with masks: train calibrates int8, val measures mIoU before and after.",
)
@click.option(
    "--allow-drop",
    type=NUMBER,
    default=ALLOWED_DROP,
    show_default=True,
    metavar="POINTS",
    help="Points of mIoU on --data that int8 may lose.",
)
@click.option("--opset", type=INTEGER, help="Version of ONNX's operations.  [default: 17]")
@click.option("--check/--no-check", default=True, help="Compare the file with Keras.")
@click.option(
    "--check-images", metavar="IMAGES", help="Folder or pattern of more images to compare on."
)
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_formats,
    help="List the formats.",
)
@QUIET
def export(
    model: ChosenModel,
    out: Path,
    quiet: bool,  # noqa: ARG001  (`echo` reads it)
    **options: Any,
) -> None:
    """Write a model as one file that runs without easyseg; it is compared with Keras first."""
    images = options.pop("check_images")
    if images is not None and not options["check"]:
        raise InputError("--check-images and --no-check exclude each other; leave out one.")
    options["check"] = options["check"] if images is None else images
    options["format"] = options["format"] or format_of(out)
    ExportOptions(**options)  # checked before the model is opened
    check_target(out, options["format"])
    echo(model.open().export(out, **options))
