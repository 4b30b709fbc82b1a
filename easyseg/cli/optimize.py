"""`easyseg optimize`: finds the fastest runtime for a model on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from easyseg.api import list_models
from easyseg.cli import command
from easyseg.cli.options import A_PATH, QUIET, ChosenModel, echo, inference_options
from easyseg.errors import InputError
from easyseg.io.read_image import require_file


@command()
@click.argument("images", nargs=-1, type=A_PATH)
@inference_options
@click.option("--benchmark", is_flag=True, help="Only measure; change and save nothing.")
@QUIET
def optimize(
    images: tuple[Path, ...],
    model: ChosenModel,
    benchmark: bool,
    quiet: bool,  # noqa: ARG001  (`echo` reads it)
) -> None:
    """Measure the runtimes; later commands with the same options use the fastest.

    IMAGES calibrate --precision int8; about 100 typical ones are enough.
    """
    for image in images:
        if image.is_dir() or str(image) in list_models():
            raise InputError(
                f"images={str(image)!r} must be image files, such as photos/*.jpg, for int8 alone. "
                f"A model is chosen by model={str(image)!r}."
            )
        require_file(image)
    seg = model.open()
    measured = seg.benchmark(images) if benchmark else seg.optimize(images)
    for runtime, milliseconds in measured.items():
        echo(f"{runtime:12} {milliseconds:8.1f} ms per image")
