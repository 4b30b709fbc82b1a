"""Options that several commands have, each declared once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from easyseg.inference.runtimes import AUTO, PRECISIONS, RUNTIMES

if TYPE_CHECKING:
    from easyseg.datasets.options import DatasetOptions

__all__ = [
    "ALPHA",
    "CLASSES",
    "MODEL",
    "QUIET",
    "data_options",
    "dataset_options",
    "inference_options",
    "names_and_ids",
    "runtime_options",
    "video_options",
]

MODEL = click.option(
    "-m", "--model", help="Name from `easyseg models`, or a folder.  [default: mini]"
)
CLASSES = click.option("-c", "--classes", help="Only these, with commas: person,car.")
ALPHA = click.option(
    "--alpha",
    default=0.6,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Strength of the overlay.",
)
QUIET = click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
VIDEO_OPTIONS = (
    click.option(
        "--frame-stride",
        default=1,
        show_default=True,
        type=click.IntRange(1),
        help="Frames from one look of the network to the next.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(1),
        help="Frames that go through the network together; by default what was measured, else 1.",
    ),
    click.option(
        "--smoothing",
        default=0.0,
        show_default=True,
        type=click.FloatRange(0, 1, max_open=True),
        help="Share of the past, against flicker.",
    ),
    click.option("--show", is_flag=True, help="Show a window; q ends."),
)


def _factors(_: click.Context, __: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        return tuple(float(factor) for factor in value.split(","))
    except ValueError as error:
        raise click.BadParameter(
            f"{value!r} is no list of factors with commas, such as 0.5,1,1.5."
        ) from error


INFERENCE_OPTIONS = (
    click.option(
        "--batch-size",
        type=click.IntRange(1),
        help="Images that go through the network together; by default what was measured, else 1.",
    ),
    click.option(
        "--output-stride",
        type=click.Choice(["8", "16", "32"]),
        callback=lambda _, __, value: value and int(value),
        help="8 is finer and slower.",
    ),
    click.option(
        "--tile", type=int, metavar="PIXELS", help="See large images in windows of this size."
    ),
    click.option(
        "--scales",
        default="1",
        callback=_factors,
        metavar="FACTORS",
        help="See images at several sizes: 0.5,1,1.5; finer and slower.",
    ),
    click.option("--flip", is_flag=True, help="See the mirror image too; twice the time."),
)


DATA_OPTIONS = (
    click.option(
        "--format", "format_name", help="Of the data set, instead of detecting it: coco, voc, folders, …"
    ),
    click.option("--classes", help="With commas: classes to keep, or the names of the ids in the masks."),
    click.option("--ignore", help="With commas: classes, by name or id, whose pixels are ignored."),
)


RUNTIME_OPTIONS = (
    click.option(
        "--runtime",
        default=AUTO,
        show_default=True,
        type=click.Choice([AUTO, *RUNTIMES]),
        help="What runs the network.",
    ),
    click.option(
        "--precision",
        default=PRECISIONS[0],
        show_default=True,
        type=click.Choice(PRECISIONS),
        help="fast is bfloat16; int8 must have been calibrated.",
    ),
)


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say how a data set is read; `dataset_options` parses them."""
    for option in reversed(DATA_OPTIONS):
        command = option(command)
    return command


def dataset_options(
    format_name: str | None, classes: str | None, ignore: str | None
) -> DatasetOptions:
    """The values of the options of `data_options`."""
    from easyseg.datasets.options import DatasetOptions  # noqa: PLC0415  (NumPy)

    names = names_and_ids(classes)
    return DatasetOptions(
        format_name, None if names is None else map(str, names), names_and_ids(ignore) or ()
    )


def runtime_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say what runs the network."""
    for option in reversed(RUNTIME_OPTIONS):
        command = option(command)
    return command


def video_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that every command on videos has."""
    for option in reversed(VIDEO_OPTIONS):
        command = option(command)
    return command


def inference_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say how a network sees images."""
    for option in reversed(INFERENCE_OPTIONS):
        command = option(command)
    return command


def names_and_ids(classes: str | None) -> list[str | int] | None:
    """The classes that `person,7` means."""
    if not classes:
        return None
    return [int(c) if c.strip().isdecimal() else c for c in classes.split(",")]
