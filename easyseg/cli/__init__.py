"""The command line. Each command's module is loaded when the command is called."""

from __future__ import annotations

import importlib
import logging
import signal
import sys
from typing import NoReturn

import click

import easyseg
from easyseg.errors import EasysegError
from easyseg.utils.registry import unknown_name

__all__ = ["cli", "main"]

# name: (module, short help)
COMMANDS = {
    "demo": ("easyseg.cli.demo", "Segment two sample images with the embedded model."),
    "segment": ("easyseg.cli.segment", "Segment images, folders or patterns."),
    "background": ("easyseg.cli.background", "Change, blur, color or remove the background."),
    "video": ("easyseg.cli.video", "Segment a video, a stream or a camera."),
    "evaluate": ("easyseg.cli.evaluate", "Say how good a model is on a data set."),
    "train": ("easyseg.cli.train", "Train a model further on your own images."),
    "models": ("easyseg.cli.models", "List the models and what is in the cache."),
    "download": ("easyseg.cli.models", "Get a model's weights, or import a file."),
    "optimize": ("easyseg.cli.optimize", "Find the fastest runtime for a model, once."),
    "check": ("easyseg.cli.check", "Look through a data set before training."),
    "info": ("easyseg.cli.models", "Tell all that is known about a model."),
}


class _Lazy(click.Group):
    def list_commands(self, _: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            raise unknown_name("command", name, COMMANDS)
        command: click.Command = getattr(importlib.import_module(COMMANDS[name][0]), name)
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, row[1]) for name, row in COMMANDS.items()])


@click.command(cls=_Lazy, invoke_without_command=True)
@click.version_option(easyseg.__version__, prog_name="easyseg")
@click.pass_context
def cli(context: click.Context) -> None:
    """Semantic segmentation with DeepLabV3+.

    \b
    easyseg models
    easyseg segment street.jpg -o street.png --model xception65.ade20k
    """  # noqa: D301  (\b is click's mark for lines to keep)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(args: list[str] | None = None) -> NoReturn:
    """Runs the command line; an error is one line and exit code 2."""
    logging.basicConfig(format="easyseg: %(message)s", level=logging.WARNING)
    # a service that is stopped ends as with Ctrl-C: what was done is kept
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = cli.main(args, prog_name="easyseg", standalone_mode=False)
    except EasysegError as error:
        _stop(error, code=2)
    except click.ClickException as error:
        _stop(error.format_message(), code=2)
    except click.Abort:
        _stop("stopped.", code=130)
    sys.exit(code or 0)


def _stop(message: object, *, code: int) -> NoReturn:
    click.echo(f"easyseg: {one_line(message)}", err=True)
    sys.exit(code)


def one_line(message: object) -> str:
    """The message, or the error's, without line breaks."""
    return " ".join(str(message).split())
