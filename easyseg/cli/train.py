"""`easyseg train`."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from tqdm.contrib.logging import logging_redirect_tqdm

from easyseg.api import SemanticSegmentation
from easyseg.cli import command, flag_of, is_given
from easyseg.cli.options import (
    A_PATH,
    INTEGER,
    NUMBER,
    QUIET,
    SIZE,
    ChosenModel,
    data_options,
    echo,
    echo_report,
    model_options,
)
from easyseg.datasets import DatasetOptions, open_with_options
from easyseg.errors import ConfigError, InputError
from easyseg.models.config import ModelConfig
from easyseg.training.config import TrainConfig
from easyseg.training.rendezvous import cluster_of, make_cluster
from easyseg.training.run_dir import Stopped, is_finished
from easyseg.utils.registry import unknown_name
from easyseg.weights.exported import not_trainable
from easyseg.weights.network_file import ExportedConfig
from easyseg.weights.resolve import ModelSource


def _class_weights(text: str) -> str | list[float]:
    try:
        return text if text == "auto" else [float(weight) for weight in text.split(",")]
    except ValueError:
        raise click.BadParameter(
            f"expected auto, or a number for each class with commas, such as 1,5,5, got {text!r}."
        ) from None


def _loss(text: str) -> str | dict[str, float]:
    """`dice`, `cross_entropy+dice`, or with weights `cross_entropy:1+dice:0.5`."""
    if ":" not in text:
        return text
    terms = [term.partition(":") for term in text.split("+")]
    try:
        return {name.strip(): float(weight) for name, _, weight in terms}
    except ValueError:
        raise click.BadParameter(
            "expected names with +, or names and weights such as cross_entropy:1+dice:0.5, "
            f"got {text!r}."
        ) from None


def _augment(text: str) -> list[Any]:
    """`none`, or steps with commas, their parameters as `rotate:degrees=10:p=0.3`."""
    if text == "none":
        return []
    steps: list[Any] = []
    for step in text.split(","):
        name, *parameters = step.strip().split(":")
        pairs = [parameter.partition("=") for parameter in parameters]
        try:
            values = {key: float(number) for key, _, number in pairs}
        except ValueError:
            values = {}
        if not name or len(values) < len(parameters):
            raise click.BadParameter(
                "expected none, or steps with commas, such as scale,rotate:degrees=10:p=0.3,flip, "
                f"got {text!r}."
            )
        steps.append({name: values} if values else name)
    return steps


PARSERS: dict[str, tuple[str, Callable[[str], Any]]] = {  # metavar and parser
    "crop": ("N or HxW", lambda text: list(SIZE.convert(text, None, None))),
    "class_weights": ("WEIGHTS", _class_weights),
    "loss": ("LOSS", _loss),
    "augment": ("STEPS", _augment),
}
SHORT_NAMES = {"learning_rate": ["--lr"]}


def _training_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each field of `TrainConfig`, under its name."""
    for field in reversed(dataclasses.fields(TrainConfig)):
        names = [f"--{field.name.replace('_', '-')}", *SHORT_NAMES.get(field.name, ())]
        function = click.option(*names, field.name, **_attributes(field))(function)
    return function


def _attributes(field: dataclasses.Field[Any]) -> dict[str, Any]:
    text = field.metadata["help"]
    if field.default is not None:
        text += f"  [default: {field.default}]"
    if field.name in PARSERS:
        metavar, parse = PARSERS[field.name]
        return {
            "help": text,
            "metavar": metavar,
            "callback": lambda _, __, value: None if value is None else parse(value),
        }
    kind = str(field.type).partition(" ")[0]
    types = {"int": (INTEGER, "N"), "float": (NUMBER, "X"), "str": (click.STRING, "NAME")}
    return {"help": text, "type": types[kind][0], "metavar": types[kind][1]}


def _changes(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Fields of the network, from FIELD=VALUE."""
    fields = [field.name for field in dataclasses.fields(ModelConfig)]
    changes = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (name and equals and text):
            raise click.BadParameter(
                f"expected FIELD=VALUE, such as output_stride=8, got {pair!r}."
            )
        if name not in fields:
            raise click.BadParameter(str(unknown_name("field of the network", name, fields)))
        if name in changes:
            raise click.BadParameter(f"{name} is set twice; set it once.")
        changes[name] = _value(text)
    return changes


def _value(text: str) -> Any:
    """A number, true, false, none, a word, or several of them with commas."""
    if "," in text:
        return tuple(_value(part.strip()) for part in text.split(","))
    if text.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@command()
@click.argument("data", required=False, metavar="[DATA]")
@model_options
@data_options
@click.option(
    "-o",
    "--run-dir",
    type=A_PATH,
    help="The run's directory; one that exists gets a number.  [default: runs/NAME OF THE DATA]",
)
@click.option(
    "--resume",
    type=A_PATH,
    metavar="RUN",
    help="Continue the run in this directory.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="FIELD=VALUE",
    callback=_changes,
    help="A field of the network: decoder=deeplabv3plus, output_stride=8, aspp_rates=6,12,18.",
)
@click.option(
    "--workers",
    metavar="HOST:PORT,...",
    callback=lambda _, __, text: text and [part.strip() for part in text.split(",")],
    help="Addresses of all processes that train together; the first one writes the run.",
)
@click.option(
    "--rank", type=INTEGER, metavar="K", help="Which of the workers this process is, from 0."
)
@_training_options
@QUIET
def train(
    data: str | None,
    model: ChosenModel,
    data_options: DatasetOptions,
    run_dir: Path | None,
    resume: Path | None,
    changes: dict[str, Any],
    workers: list[str] | None,
    rank: int | None,
    quiet: bool,
    **choices: Any,
) -> None:
    """Fine-tune a model on DATA, a folder of images with their masks or annotations.

    \b
    easyseg train my_folder --epochs 30 -o runs/mine
    easyseg segment new.jpg --model runs/mine
    easyseg train --resume runs/mine
    easyseg launch -n 2 -- train my_folder
    """  # noqa: D301  (\b is click's mark for lines to keep)
    options = {name: value for name, value in choices.items() if value is not None} | changes
    if workers is not None or rank is not None:
        _name_workers(workers, rank, options)
    shared = resume is not None or options.get("distribute") == "multi_worker"
    follows = shared and _is_follower()
    if follows:  # the chief says all; this process only its errors
        quiet = click.get_current_context().params["quiet"] = True
    if resume is not None:
        _refuse_with_resume(click.get_current_context().command.params, resume)
        with _training_run(data):
            tuned = SemanticSegmentation.resume(resume, data=data, progress=not quiet)
    else:
        if data is None:
            raise InputError(
                "easyseg train needs DATA, the folder of a data set, or --resume and a run."
            )
        from easyseg.training.fine_tune import join_workers  # noqa: PLC0415  (loads Keras)
        from easyseg.training.plan import check_choices  # noqa: PLC0415

        join_workers(options)  # before TensorFlow is used
        check_choices(options)  # before data are read
        if model.source is not None:
            _check_network(model.source, changes)
        dataset = open_with_options(data, data_options)
        for note in dataset.notes:
            echo_report(note)
        start = model.open()
        with _training_run(None):
            tuned = start.fine_tune(dataset, run_dir=run_dir, progress=not quiet, **options)
    if follows:
        return
    card = (Path(tuned.name) / "card.md").read_text("utf-8").strip()
    echo(f"{card}\n-> {Path(tuned.name) / 'report.html'}")


def _name_workers(workers: list[str] | None, rank: int | None, options: dict[str, Any]) -> None:
    """Names the workers to TensorFlow; training is then theirs."""
    if workers is None or rank is None:
        raise InputError(
            "--workers and --rank belong together, such as --workers node1:2222,node2:2222 --rank "
            "0 on node1; `easyseg launch` sets both."
        )
    if options.get("distribute", "multi_worker") != "multi_worker":
        raise InputError(
            f"--workers is for --distribute multi_worker, got {options['distribute']}; leave one "
            "of them out."
        )
    os.environ.update(make_cluster(workers, rank).to_environment())
    if not is_given("resume"):
        options["distribute"] = "multi_worker"


def _is_follower() -> bool:
    """Whether another process writes the run, as `TF_CONFIG` has it."""
    cluster = cluster_of(os.environ)
    return cluster is not None and cluster.rank > 0


@contextlib.contextmanager
def _training_run(data: str | None) -> Iterator[None]:
    """Log lines are above the bar; Ctrl-C names the command that resumes, with DATA if it moved."""
    with logging_redirect_tqdm():
        try:
            yield
        except Stopped as stop:
            words = ["easyseg", "train", *([data] if data else []), "--resume", str(stop.run_dir)]
            each = "" if cluster_of(os.environ) is None else "each worker again, with "
            raise click.Abort(f"To resume: {each}{shlex.join(words)}") from None


def _check_network(start: ModelSource, changes: dict[str, Any]) -> None:
    if isinstance(start.config, ExportedConfig):
        raise not_trainable(str(start.weights))
    try:
        start.config.replace(**changes)
    except ConfigError as error:
        raise ConfigError(f"--set: {error}") from error


def _refuse_with_resume(options: list[click.Parameter], run_dir: Path) -> None:
    """The options of the run apply: others are refused."""
    allowed = ("data", "resume", "max_pixels", "quiet", "workers", "rank")
    given = [o for o in options if o.name not in allowed and is_given(str(o.name))]
    flags = ", ".join(map(flag_of, given))
    if flags and is_finished(run_dir):
        raise InputError(
            f"{run_dir} is finished, so {flags} changes nothing; to train on, start a new run with "
            f"--model {run_dir}."
        )
    if flags:
        raise InputError(f"--resume continues with the options of the run; leave {flags} out.")
