"""Options that several commands share, each declared once, in groups.

Defaults are the library's. A group's decorator hands its options to the command as one argument.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from easyseg.api import SemanticSegmentation
from easyseg.cli import is_quiet, with_flags
from easyseg.datasets import DatasetOptions
from easyseg.errors import UnknownNameError, printable
from easyseg.inference.options import InferenceOptions
from easyseg.inference.runtimes import AUTO, PRECISIONS, RUNTIMES
from easyseg.inference.video import check_video_options
from easyseg.io.open_image import MAX_PIXELS_VARIABLE
from easyseg.models.kerashub.config import is_hub
from easyseg.results.label_set import Classes
from easyseg.results.outputs import OUTPUTS, Output, OutputSpec
from easyseg.utils.registry import unknown_name
from easyseg.weights.bundle import MINI, SCENES
from easyseg.weights.foreign import ForeignOptions
from easyseg.weights.resolve import resolve

Command = Callable[..., Any]
log = logging.getLogger(__name__)


class _Value(click.ParamType):
    """A type of option: what reads its text, and the rule for the message."""

    def __init__(self, name: str, read: Callable[[str], Any], rule: str) -> None:
        self.name, self._read, self._rule = name, read, rule

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not isinstance(value, str):  # a default
            return value
        try:
            return self._read(value)
        except ValueError:
            self.fail(f"{value!r} must be {self._rule}.", param, ctx)


class Choice(click.Choice):
    """One of some words; the message for others says which is nearest."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The word itself."""
        if value not in self.choices:
            name = "value" if param is None else param.name.replace("_", " ")
            self.fail(str(unknown_name(name, value, self.choices)), param, ctx)
        return value


def _names(text: str) -> list[str | int]:
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        raise ValueError(text)
    return [int(item) if item.isdecimal() else item for item in items]


def _colors(text: str) -> dict[str | int, str]:
    pairs = [pair.partition("=") for pair in re.split(r",(?![^()]*\))", text)]
    names = [name.strip() for name, _, _ in pairs]
    colors = [color.strip() for _, _, color in pairs]
    if not all((*names, *colors)) or len(set(names)) < len(names):
        raise ValueError(text)
    keys = [int(name) if name.isdecimal() else name for name in names]
    return dict(zip(keys, colors, strict=True))


def _size(text: str) -> tuple[int, int]:
    sides = text.split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise ValueError(text)
    return int(sides[0]), int(sides[-1])


INTEGER = _Value("integer", int, "a whole number, such as 4")
NUMBER = _Value("number", float, "a number, such as 0.5")
NUMBERS = _Value(
    "numbers",
    lambda text: tuple(map(float, text.split(","))),
    "numbers with commas, such as 0.5,1,1.5",
)
TEXTS = _Value("names", lambda text: list(map(str, _names(text))), "names with commas: road,car")
NAMES = _Value("names", _names, "names or ids with commas, such as person,7")
COLORS = _Value("colors", _colors, "classes with one color each, such as person=#ff8800,dog=red")
INTEGERS = _Value(
    "numbers", lambda text: [int(number) for number in text.split(",")], "numbers, such as 4,3,2"
)
SIZE = _Value("size", _size, "a size such as 513, or 1025x2049 for height x width")
A_PATH = click.Path(path_type=Path)

SHARD = click.option(
    "--shard",
    metavar="K/N",
    help="Process only part K of N, such as 3/16; `easyseg merge` joins the parts.",
)
QUIET = click.option("-q", "--quiet", is_flag=True, help="Print only errors.")


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
FOREIGN = _defaults(ForeignOptions)

MAX_PIXELS = click.option(
    "--max-pixels",
    type=INTEGER,
    callback=lambda context, _, value: _limit_pixels(context, value),
    metavar="N",
    help="Refuse images with more pixels.  [default: $EASYSEG_MAX_PIXELS, else 125 million]",
)
ARCHITECTURE = click.option(
    "--architecture",
    metavar="NAME",
    help="For a weights file: the published weights with the same network and classes.",
)
CACHE_DIR = click.option("--cache-dir", type=A_PATH, help="Folder for downloads.")
MODEL = click.option(
    "-m",
    "--model",
    help="Name from `easyseg models`, folder of a saved model or run, exported file (not to "
    "train or export), weights file (.h5, .pb), hf://USER/REPO, or hub:PRESET.  [default: mini]",
)
MODEL_OPTIONS = (
    MODEL,
    ARCHITECTURE,
    CACHE_DIR,
    MAX_PIXELS,
)
OUTPUT_STRIDE = click.option(
    "--output-stride",
    type=Choice(["8", "16", "32"]),
    callback=lambda _, __, value: value and int(value),
    help="8: finer boundaries, slower.  [default: the model's own]",
)
CLASS_NAMES = click.option(
    "--class-names",
    type=TEXTS,
    help="For an .onnx file of another program: the names of its channels, road,car.",
)
INPUT_SIZE = click.option(
    "--input-size",
    type=SIZE,
    metavar="N|HxW",
    help="For such a file, if it takes images of any size.",
)
COLORS_OPTION = click.option(
    "--colors",
    type=COLORS,
    metavar="CLASS=COLOR,...",
    help="Own colors of classes, by name or id: person=#ff8800,dog=red.",
)
FOREIGN_OPTIONS = (
    CLASS_NAMES,
    INPUT_SIZE,
    click.option(
        "--mean",
        type=NUMBERS,
        metavar="R,G,B",
        help="For such a file: the mean of pixels from 0 to 1.  [default: ImageNet's]",
    ),
    click.option(
        "--std",
        type=NUMBERS,
        metavar="R,G,B",
        help="For such a file: the standard deviation of these pixels.",
    ),
)
INFERENCE_OPTIONS = (
    *MODEL_OPTIONS,
    OUTPUT_STRIDE,
    *FOREIGN_OPTIONS,
    COLORS_OPTION,
    click.option(
        "--tile",
        type=INTEGER,
        default=INFERENCE["tile"],
        metavar="PIXELS",
        help="Segment larger images in overlapping tiles of this size.",
    ),
    click.option(
        "--scales",
        type=NUMBERS,
        default=INFERENCE["scales"],
        metavar="FACTORS",
        help="Average several sizes of the image: 0.5,1,1.5.  [default: 1]",
    ),
    click.option(
        "--flip", is_flag=True, help="Average with the mirrored image; takes twice as long."
    ),
    click.option(
        "--batch-size",
        type=INTEGER,
        default=INFERENCE["batch_size"],
        help="Images per batch.  [default: as measured by `easyseg optimize`, else 1]",
    ),
    click.option(
        "--runtime",
        type=Choice([AUTO, *RUNTIMES]),
        default=INFERENCE["runtime"],
        show_default=True,
        help="What runs the network; auto is the fastest measured by `easyseg optimize`.",
    ),
    click.option(
        "--precision",
        type=Choice(PRECISIONS),
        default=INFERENCE["precision"],
        show_default=True,
        help="int8 needs calibration by `easyseg optimize`.",
    ),
    click.option(
        "--device",
        default=INFERENCE["device"],
        show_default=True,
        help="cpu, gpu, gpu:1, npu or tensorrt, if the runtime has it on this machine.",
    ),
)
BANDS = click.option(
    "--bands",
    type=INTEGERS,
    metavar="R,G,B",
    help="Bands of a TIFF that is segmented by windows, counted from 1.  [default: 1,2,3]",
)
WORKERS = click.option(
    "--workers",
    type=INTEGER,
    default=1,
    show_default=True,
    metavar="N",
    help="Processes that segment pieces of a file at the same time.",
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
        type=NUMBER,
        default=OUTPUT["alpha"],
        show_default=True,
        help="Opacity of the class colors in an overlay, 0 to 1.",
    ),
    click.option("--legend", is_flag=True, help="Draw class names and percentages."),
)
OUTLINE_OPTIONS = (
    click.option(
        "--tolerance",
        type=NUMBER,
        default=OUTPUT["tolerance"],
        show_default=True,
        metavar="PIXELS",
        help="Maximum error of simplified outlines, for polygons, labelme and geojson.",
    ),
    click.option(
        "--min-area",
        type=INTEGER,
        default=OUTPUT["min_area"],
        show_default=True,
        metavar="PIXELS",
        help="Leave out smaller regions and holes, for the same kinds, coco, label_studio, cvat.",
    ),
)
VIDEO_OPTIONS = (
    click.option(
        "--frame-stride",
        type=INTEGER,
        default=1,
        show_default=True,
        help="Segment only every n-th frame; frames between keep its labels.",
    ),
    click.option(
        "--smoothing",
        type=NUMBER,
        default=0.0,
        show_default=True,
        help="Weight of the past, 0 to below 1, against flicker.",
    ),
    click.option(
        "--start",
        type=NUMBER,
        default=0.0,
        show_default=True,
        metavar="SECONDS",
        help="Where in the video to start.",
    ),
    click.option(
        "--end",
        type=NUMBER,
        metavar="SECONDS",
        help="Where in the video to end.  [default: its end]",
    ),
    click.option("--show", is_flag=True, help="Show a window; q or Escape ends."),
)
DATA_OPTIONS = (
    click.option("--format", help="Format: coco, voc, folders, ...  [default: detected]"),
    click.option(
        "--classes", type=NAMES, help="Classes to keep, or the names of the masks' ids: road,car."
    ),
    click.option("--ignore", type=NAMES, help="Classes, by name or id, whose pixels are ignored."),
    click.option("--strict", is_flag=True, help="Refuse files outside the data set's folder."),
)


def group(
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


class ChosenModel:
    """The model that the options name. What is wrong with them is reported before it is opened.

    Attributes:
        source: Its configuration and classes; `None` where only KerasHub knows them.
        tile: The option --tile.
    """

    def __init__(self, model: str | None = None, **options: Any) -> None:
        if INFERENCE.keys() <= options.keys():
            InferenceOptions(**{name: options[name] for name in INFERENCE})
        self._is_default = model is None
        self._model, self._options = MINI if model is None else model, options
        self.tile: int | None = options.get("tile")
        wanted = ("architecture", "output_stride", "cache_dir")
        choices = {name: options[name] for name in wanted if name in options}
        if FOREIGN.keys() <= options.keys():
            choices["foreign"] = ForeignOptions(**{name: options[name] for name in FOREIGN})
        self.source = None if is_hub(self._model) else resolve(self._model, **choices)
        if self.source is not None and options.get("colors"):
            self.source.label_set.with_colors(options["colors"])  # checked

    def check_classes(self, classes: Classes | None) -> None:
        """Raises UnknownNameError for a class that the model does not have."""
        if self.source is None or classes is None:
            return
        try:
            self.source.label_set.ids_of(classes)
        except UnknownNameError as error:
            if not self._is_default or not _has(SCENES, classes):
                raise
            hint = f"The model {SCENES}, also included, has it: -m {SCENES}."
            raise UnknownNameError(f"{error} {hint}") from None

    def arguments(self) -> dict[str, Any]:
        """Those of `SemanticSegmentation`, with which another process opens the model."""
        self._warn_of_default()
        return {"model": self._model, **self._options}

    def open(self) -> SemanticSegmentation:
        """Opens the model."""
        self._warn_of_default()
        return SemanticSegmentation(self._model, **self._options, progress=not is_quiet())

    def _warn_of_default(self) -> None:
        if self._is_default:
            log.warning(
                "using mini, the small model that comes with easyseg (21 classes); scenes, also "
                "included, names every pixel; for better results choose another, such as "
                "--model xception65.ade20k."
            )


def _has(model: str, classes: Classes) -> bool:
    label_set = resolve(model).label_set
    several = [classes] if isinstance(classes, (str, int)) else classes
    return all(each in label_set for each in several)


def _video(**options: Any) -> dict[str, Any]:
    check_video_options(**{name: options[name] for name in options if name != "show"})
    return options


def _inference(**options: Any) -> dict[str, Any]:
    InferenceOptions(**{name: options[name] for name in INFERENCE if name in options})
    return options


def _output(**options: Any) -> dict[str, Any]:
    OutputSpec(**options)
    return options


def _data(classes: list[str | int] | None, **options: Any) -> DatasetOptions:
    names = None if classes is None else map(str, classes)
    return DatasetOptions(options["format"], names, options["ignore"] or (), options["strict"])


model_options = group("model", MODEL_OPTIONS, ChosenModel)
"""Adds --model, --architecture, --cache-dir and --max-pixels, as a `ChosenModel`."""

several_models_options = group(
    "model_options",
    tuple(option for option in INFERENCE_OPTIONS if option not in (MODEL, MAX_PIXELS)),
    _inference,
)
"""Adds the options of models without their names and the limit of pixels, by name."""

network_options = group("model", (*MODEL_OPTIONS, OUTPUT_STRIDE, COLORS_OPTION), ChosenModel)
"""The same, --output-stride and --colors."""

inference_options = group("model", INFERENCE_OPTIONS, ChosenModel)
"""Adds the options of the model and of `InferenceOptions`, as a `ChosenModel`."""

output_options = group("output", (_kind(OUTPUTS), *OUTPUT_OPTIONS, *OUTLINE_OPTIONS), _output)
"""Adds the options of `OutputSpec`; `output` has them by name."""

frame_options = group("output", (_kind(IMAGE_KINDS), *OUTPUT_OPTIONS), _output)
"""The same without documents, which a video cannot hold, and their options."""

video_options = group("video_options", VIDEO_OPTIONS, _video)
"""Adds the options for videos, by name."""

data_options = group("data_options", DATA_OPTIONS, _data)
"""Adds the options for opening a data set, as `DatasetOptions`."""
