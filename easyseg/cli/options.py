"""Options that several commands share, each declared once, in groups.

Defaults are the library's. A group's decorator hands its options to the command as one argument.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from easyseg.api import SemanticSegmentation
from easyseg.cli import is_quiet, with_flags
from easyseg.datasets import DatasetOptions
from easyseg.errors import printable
from easyseg.inference.options import InferenceOptions
from easyseg.inference.runtimes import AUTO, PRECISIONS, RUNTIMES
from easyseg.io.open_image import MAX_PIXELS_VARIABLE
from easyseg.results.outputs import OUTPUTS, Output, OutputSpec

__all__ = [
    "MAX_PIXELS",
    "NAMES",
    "QUIET",
    "SIZE",
    "data_options",
    "echo",
    "echo_report",
    "frame_options",
    "inference_options",
    "model_options",
    "output_options",
    "video_options",
]

Command = Callable[..., Any]
log = logging.getLogger(__name__)


class _Numbers(click.ParamType):
    name = "numbers"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(number) for number in value.split(","))
        except ValueError:
            self.fail(f"{value!r} must be numbers with commas, such as 0.5,1,1.5.", param, ctx)


class _Names(click.ParamType):
    name = "names"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[str | int]:
        items = [item.strip() for item in value.split(",")]
        if not all(items):
            self.fail(f"{value!r} must be names or ids with commas: person,7.", param, ctx)
        return [int(item) if item.isdecimal() else item for item in items]


class _Size(click.ParamType):
    name = "size"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)?", value):
            self.fail(
                f"{value!r} must be a size such as 513, or 1025x2049 for height x width.",
                param,
                ctx,
            )
        sides = [int(side) for side in value.split("x")]
        return sides[0], sides[-1]


NAMES, SIZE = _Names(), _Size()
"""Types of options: classes by name or id, with commas; `N` or `HxW` as (height, width)."""

QUIET = click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")


def echo(message: object) -> None:
    """Prints the message, unless the command is quiet; file names cannot steer the terminal."""
    if not is_quiet():
        click.echo(printable(message))


def echo_report(message: object) -> None:
    """Prints what the library says, with the command's flags for arguments."""
    echo(with_flags(str(message), click.get_current_context().command))


def _defaults(options: type) -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(options)}


INFERENCE, OUTPUT = _defaults(InferenceOptions), _defaults(OutputSpec)

MAX_PIXELS = click.option(
    "--max-pixels",
    type=click.IntRange(1),
    callback=lambda context, _, value: _limit_pixels(context, value),
    metavar="N",
    help="Refuse images with more pixels.  [default: $EASYSEG_MAX_PIXELS, else 125 million]",
)

MODEL_OPTIONS = (
    click.option(
        "-m",
        "--model",
        help="Name from `easyseg models`, folder of a saved model or run, weights file (.h5, .pb), "
        "or hub:PRESET.  [default: mini]",
    ),
    click.option(
        "--architecture",
        metavar="NAME",
        help="For a weights file: the published weights with the same network and classes.",
    ),
    click.option("--cache-dir", type=click.Path(path_type=Path), help="Folder for downloads."),
    MAX_PIXELS,
)
INFERENCE_OPTIONS = (
    *MODEL_OPTIONS,
    click.option(
        "--output-stride",
        type=click.Choice(["8", "16", "32"]),
        callback=lambda _, __, value: value and int(value),
        help="8: finer boundaries, slower.  [default: the model's own]",
    ),
    click.option(
        "--tile",
        type=int,
        default=INFERENCE["tile"],
        metavar="PIXELS",
        help="Segment larger images in overlapping tiles of this size.",
    ),
    click.option(
        "--scales",
        type=_Numbers(),
        default=INFERENCE["scales"],
        metavar="FACTORS",
        help="Average several sizes of the image: 0.5,1,1.5.  [default: 1]",
    ),
    click.option(
        "--flip", is_flag=True, help="Average with the mirrored image; takes twice as long."
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(1),
        default=INFERENCE["batch_size"],
        help="Images per batch.  [default: what `easyseg optimize` measured, else 1]",
    ),
    click.option(
        "--runtime",
        type=click.Choice([AUTO, *RUNTIMES]),
        default=INFERENCE["runtime"],
        show_default=True,
        help="What runs the network; auto is the fastest that `easyseg optimize` measured.",
    ),
    click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default=INFERENCE["precision"],
        show_default=True,
        help="int8 needs calibration by `easyseg optimize`.",
    ),
)
IMAGE_KINDS = [kind for kind in OUTPUTS if isinstance(OUTPUTS[kind], Output)]
OUTPUT_OPTIONS = (
    click.option(
        "-c",
        "--classes",
        type=NAMES,
        default=OUTPUT["classes"],
        help="Only these classes, by name or id: person,car.",
    ),
    click.option(
        "--alpha",
        type=click.FloatRange(0, 1),
        default=OUTPUT["alpha"],
        show_default=True,
        help="Opacity of the class colors in an overlay.",
    ),
    click.option("--legend", is_flag=True, help="Draw class names and percentages."),
)
VIDEO_OPTIONS = (
    click.option(
        "--frame-stride",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Segment every n-th frame; those between keep its labels.",
    ),
    click.option(
        "--smoothing",
        type=click.FloatRange(0, 1, max_open=True),
        default=0.0,
        show_default=True,
        help="Weight of the past, against flicker.",
    ),
    click.option(
        "--start",
        type=click.FloatRange(0),
        default=0.0,
        show_default=True,
        metavar="SECONDS",
        help="Where in the video to start.",
    ),
    click.option(
        "--end",
        type=click.FloatRange(0),
        metavar="SECONDS",
        help="Where in the video to end.  [default: its end]",
    ),
    click.option("--show", is_flag=True, help="Show a window; q ends."),
)
DATA_OPTIONS = (
    click.option("--format", help="Format: coco, voc, folders, ...  [default: detected]"),
    click.option(
        "--classes", type=NAMES, help="Classes to keep, or the names of the masks' ids: road,car."
    ),
    click.option("--ignore", type=NAMES, help="Classes, by name or id, whose pixels are ignored."),
    click.option("--strict", is_flag=True, help="Refuse files outside the data set's folder."),
)


def _group(
    argument: str, options: tuple[Callable[[Command], Command], ...], collect: Callable[..., Any]
) -> Callable[[Command], Command]:
    """A decorator that adds the options and hands on what `collect` makes of their values."""

    def add(command: Command) -> Command:
        probe = click.Command("probe")
        for option in options:
            option(probe)
        names = [parameter.name for parameter in probe.params]

        @functools.wraps(command)
        def grouped(**values: Any) -> Any:
            mine = {name: values.pop(name) for name in names}
            return command(**values, **{argument: collect(**mine)})

        decorated: Command = grouped
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return add


def _limit_pixels(context: click.Context, value: int | None) -> int | None:
    """Sets the limit for all that the command reads: images, masks, backgrounds."""
    if value is not None:
        before = os.environ.get(MAX_PIXELS_VARIABLE)
        os.environ[MAX_PIXELS_VARIABLE] = str(value)
        context.call_on_close(lambda: _set_variable(MAX_PIXELS_VARIABLE, before))
    return value


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _kind(kinds: Iterable[str]) -> Callable[[Command], Command]:
    text = f"{', '.join(kinds)}."
    return click.option("-k", "--kind", default=OUTPUT["kind"], show_default=True, help=text)


def _inference(model: str | None, **options: Any) -> Callable[[], SemanticSegmentation]:
    InferenceOptions(**{name: options[name] for name in INFERENCE})  # checked before all else
    return functools.partial(_open_model, model, options)


def _open_model(model: str | None, options: Mapping[str, Any]) -> SemanticSegmentation:
    if model is None:
        model = "mini"
        log.warning(
            "using mini, the small model that comes with easyseg (21 classes); for paper quality "
            "name one, such as --model xception65.ade20k."
        )
    return SemanticSegmentation(model, **options, progress=not is_quiet())


def _data(classes: list[str | int] | None, **options: Any) -> DatasetOptions:
    names = None if classes is None else map(str, classes)
    return DatasetOptions(options["format"], names, options["ignore"] or (), options["strict"])


model_options = _group("open_model", MODEL_OPTIONS, lambda **options: functools.partial(
    _open_model, options.pop("model"), options
))  # fmt: skip
"""Adds --model, --architecture, --cache-dir and --max-pixels; `open_model()` opens the model."""

inference_options = _group("open_model", INFERENCE_OPTIONS, _inference)
"""Adds the options of the model and of `InferenceOptions`; `open_model()` opens the model."""

output_options = _group("output", (_kind(OUTPUTS), *OUTPUT_OPTIONS), dict)
"""Adds the options of `OutputSpec`; `output` has them by name."""

frame_options = _group("output", (_kind(IMAGE_KINDS), *OUTPUT_OPTIONS), dict)
"""The same without documents, which a video cannot hold."""

video_options = _group("video_options", VIDEO_OPTIONS, dict)
"""Adds the options for videos, by name."""

data_options = _group("data_options", DATA_OPTIONS, _data)
"""Adds the options for opening a data set, as `DatasetOptions`."""
