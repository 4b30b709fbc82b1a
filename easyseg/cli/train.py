"""`easyseg train`."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from tqdm.contrib.logging import logging_redirect_tqdm

from easyseg.api import SemanticSegmentation
from easyseg.cli import command
from easyseg.cli._startup import load_framework
from easyseg.cli.options import QUIET, SIZE, data_options, echo, model_options
from easyseg.datasets import DatasetOptions, open_with_options
from easyseg.errors import InputError
from easyseg.training.config import TrainConfig
from easyseg.training.plan import part_options

__all__ = ["train"]


def _training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each field of `TrainConfig`, under its name."""
    for field in reversed(dataclasses.fields(TrainConfig)):
        default = "" if field.default is None else f"  [default: {field.default}]"
        command = click.option(
            f"--{field.name.replace('_', '-')}",
            is_flag=field.default is False,
            default=None,
            metavar=None if field.default is False else _metavar(str(field.type)),
            help=f"{field.metadata['help']}{'' if field.default is False else default}",
        )(command)
    return command


def _metavar(kind: str) -> str:
    return {"int": "N", "float": "X"}.get(kind.partition(" ")[0], "TEXT")


@command()
@click.argument("data", required=False, metavar="[DATA]")
@model_options
@data_options
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="The run's folder; one that is there gets a number.  [default: runs/NAME OF THE DATA]",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Go on with the run in this folder.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A field of the network: decoder=deeplabv3plus, output_stride=8.",
)
@_training_options
@QUIET
def train(
    data: str | None,
    open_model: Callable[[], SemanticSegmentation],
    data_options: DatasetOptions,
    out: Path | None,
    resume: Path | None,
    changes: tuple[str, ...],
    quiet: bool,
    **choices: Any,
) -> None:
    """Train a model further on DATA, a folder of images with their masks or annotations.

    \b
    easyseg train my_folder --epochs 30 -o runs/mine
    easyseg segment new.jpg --model runs/mine
    easyseg train --resume runs/mine
    """  # noqa: D301  (\b is click's mark for lines to keep)
    given = {
        name: _value(name, text) for name, text in choices.items() if text not in (None, False)
    }
    given |= dict(_pair(change) for change in changes)
    if resume is not None:
        model = click.get_current_context().params["model"]
        _refuse_with_resume({"out": out, "model": model, **data_options.to_dict(), **given})
        load_framework()
        with logging_redirect_tqdm():
            seg = SemanticSegmentation.resume(resume, data=data, progress=not quiet)
    else:
        if data is None:
            raise InputError(
                "easyseg train needs DATA, a data set's folder, or --resume with a run's."
            )
        TrainConfig.from_dict(part_options(given)[0])  # said before the network is loaded
        dataset = open_with_options(data, data_options)
        for note in dataset.notes:
            echo(note)
        start = open_model()
        with logging_redirect_tqdm():
            seg = start.fine_tune(
                dataset,
                runs="runs" if out is None else out.parent,
                name=None if out is None else out.name,
                progress=not quiet,
                **given,
            )
    echo(f"{(Path(seg.name) / 'card.md').read_text('utf-8').strip()}\n-> {seg.name}")


def _refuse_with_resume(given: dict[str, Any]) -> None:
    named = [f"{name}=" for name, value in given.items() if value not in (None, ())]
    if named:
        raise InputError(f"resume= keeps the choices of the run; leave {', '.join(named)} out.")


def _pair(change: str) -> tuple[str, Any]:
    name, equals, text = change.partition("=")
    if not equals or not part_options({name: None})[1]:
        raise InputError(
            f"--set {change} changes nothing of a network; give a field of ModelConfig and its "
            "value, such as decoder=deeplabv3plus."
        )
    return name, _yaml(text)


def _value(name: str, text: Any) -> Any:
    """What an option means: numbers, words, and lists with commas or as YAML."""
    if name == "crop":
        return list(SIZE.convert(text, None, None))
    value = _yaml(text) if isinstance(text, str) else text
    if name == "augment" and isinstance(value, str):
        return [] if value == "none" else [step.strip() for step in value.split(",")]
    if name == "class_weights" and isinstance(value, str) and value != "auto":
        try:
            return [float(weight) for weight in value.split(",")]
        except ValueError:
            raise InputError(
                f"--class-weights {value} must be auto, or numbers with commas: 1,5,5."
            ) from None
    return value


def _yaml(text: str) -> Any:
    """Numbers, lists and words; "5e-4" too, which YAML takes for a word."""
    import yaml  # noqa: PLC0415

    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{text!r} is no value ({error}).") from error
