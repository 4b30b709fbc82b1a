"""`easyseg optimize`: finds the fastest runtime for a model on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from easyseg.api import SemanticSegmentation
from easyseg.cli._startup import load_framework_when_needed
from easyseg.cli.options import MODEL, inference_options, runtime_options

__all__ = ["optimize"]


@click.command()
@click.argument("images", nargs=-1, type=click.Path(path_type=Path))
@MODEL
@click.option("--benchmark", is_flag=True, help="Only measure; change and save nothing.")
@runtime_options
@inference_options
def optimize(
    images: tuple[Path, ...], model: str | None, *, benchmark: bool, **options: Any
) -> None:
    """Measure the runtimes; later commands with the same options use the fastest.

    IMAGES calibrate --precision int8; about 100 typical ones are enough.
    """
    load_framework_when_needed()
    seg = SemanticSegmentation(model, **options)
    measured = seg.benchmark(images) if benchmark else seg.optimize(images)
    for runtime, milliseconds in measured.items():
        click.echo(f"{runtime:12} {milliseconds:8.1f} ms per image")
