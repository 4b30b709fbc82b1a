"""`easyseg warmup`: the fastest engine for a model on this machine, found once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from easyseg.api import SemanticSegmentation
from easyseg.cli._startup import load_framework_when_needed
from easyseg.cli.options import MODEL, engine_options, view_options

__all__ = ["warmup"]


@click.command()
@click.argument("photos", nargs=-1, type=click.Path(path_type=Path))
@MODEL
@engine_options
@view_options
def warmup(photos: tuple[Path, ...], model: str | None, **choices: Any) -> None:
    """Find the fastest engine, and keep what it compiled for later runs with the same options.

    PHOTOS, some 100 of the kind to come, are what --precision int8 is calibrated with.
    """
    load_framework_when_needed()
    times = SemanticSegmentation(model, **choices).warmup(photos)
    for engine, milliseconds in times.items():
        click.echo(f"{engine:12} {milliseconds:8.1f} ms for a picture")
