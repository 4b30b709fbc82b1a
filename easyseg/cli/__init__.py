"""The command line. Each command's module is loaded when the command is called."""

from __future__ import annotations

import importlib
import logging
import sys

import click

import easyseg
from easyseg.errors import EasysegError

__all__ = ["cli", "main"]

# name: (module, short help)
COMMANDS = {
    "segment": ("easyseg.cli.segment", "Segment pictures, folders or patterns."),
    "models": ("easyseg.cli.weights", "List the models and what is in the cache."),
    "download": ("easyseg.cli.weights", "Get a model's weights, or import a file."),
    "info": ("easyseg.cli.weights", "Tell all that is known about a model."),
}


class _Lazy(click.Group):
    def list_commands(self, _: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[name][0]), name)
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, row[1]) for name, row in COMMANDS.items()])


@click.command(cls=_Lazy)
@click.version_option(easyseg.__version__, prog_name="easyseg")
def cli() -> None:
    """Semantic segmentation with DeepLabV3+.

    \b
    easyseg models
    easyseg segment street.jpg -o street.png --model xception65.ade20k
    """  # noqa: D301  (\b is click's mark for lines to keep)


def main(args: list[str] | None = None) -> None:
    """Runs the command line; an error of easyseg's own is one line and exit code 2."""
    logging.basicConfig(format="easyseg: %(message)s", level=logging.WARNING)
    try:
        cli.main(args, prog_name="easyseg")
    except EasysegError as error:
        click.echo(f"easyseg: {one_line(error)}", err=True)
        sys.exit(2)


def one_line(error: Exception) -> str:
    """The error's message without line breaks."""
    return " ".join(str(error).split())
