"""`easyseg optimize`: the fastest runtime for a model on this machine, found once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from easyseg.api import SemanticSegmentation
from easyseg.cli._startup import load_framework
from easyseg.cli.options import MODEL, inference_options, runtime_options

__all__ = ["optimize"]


@click.command()
@click.argument("images", nargs=-1, type=click.Path(path_type=Path))
@MODEL
@runtime_options
@inference_options
def optimize(images: tuple[Path, ...], model: str | None, **choices: Any) -> None:
    """Find the fastest runtime, and keep what it compiled for later runs with the same options.

    IMAGES, some 100 of the kind to come, are what --precision int8 is calibrated with.
    """
    load_framework()
    times = SemanticSegmentation(model, **choices).optimize(images)
    for runtime, milliseconds in times.items():
        click.echo(f"{runtime:12} {milliseconds:8.1f} ms for an image")
