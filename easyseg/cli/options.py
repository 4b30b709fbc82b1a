"""Options that several commands have, each declared once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

__all__ = ["ALPHA", "CLASSES", "MODEL", "QUIET", "film_options", "names_and_ids"]

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
FILM_OPTIONS = (
    click.option(
        "--every",
        default=1,
        show_default=True,
        type=click.IntRange(1),
        help="Frames from one look of the network to the next.",
    ),
    click.option(
        "--batch-size",
        default=1,
        show_default=True,
        type=click.IntRange(1),
        help="Frames that go through the network together.",
    ),
    click.option(
        "--smooth",
        default=0.0,
        show_default=True,
        type=click.FloatRange(0, 1, max_open=True),
        help="Share of the past, against flicker.",
    ),
    click.option("--show", is_flag=True, help="Show a window; q ends."),
)


def film_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that every command on films has."""
    for option in reversed(FILM_OPTIONS):
        command = option(command)
    return command


def names_and_ids(classes: str | None) -> list[str | int] | None:
    """The classes that `person,7` means."""
    if not classes:
        return None
    return [int(c) if c.strip().isdecimal() else c for c in classes.split(",")]
