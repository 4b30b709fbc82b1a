"""`easyseg optimize`: finds the fastest runtime for a model on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from easyseg.api import SemanticSegmentation
from easyseg.cli import command
from easyseg.cli.options import QUIET, echo, inference_options

__all__ = ["optimize"]


@command()
@click.argument("images", nargs=-1, type=click.Path(path_type=Path))
@inference_options
@click.option("--benchmark", is_flag=True, help="Only measure; change and save nothing.")
@QUIET
def optimize(
    images: tuple[Path, ...],
    open_model: Callable[[], SemanticSegmentation],
    benchmark: bool,
    quiet: bool,  # noqa: ARG001  (`echo` reads it)
) -> None:
    """Measure the runtimes; later commands with the same options use the fastest.

    IMAGES calibrate --precision int8; about 100 typical ones are enough.
    """
    seg = open_model()
    measured = seg.benchmark(images) if benchmark else seg.optimize(images)
    for runtime, milliseconds in measured.items():
        echo(f"{runtime:12} {milliseconds:8.1f} ms per image")
