"""`easyseg video`."""

from __future__ import annotations

from pathlib import Path

import click
from tqdm.contrib.logging import logging_redirect_tqdm

from easyseg.api import SemanticSegmentation
from easyseg.cli._startup import load_framework_when_needed
from easyseg.cli.options import (
    ALPHA,
    CLASSES,
    MODEL,
    QUIET,
    engine_options,
    film_options,
    names_and_ids,
)
from easyseg.errors import InputError
from easyseg.inference.video import check_film
from easyseg.io.video import is_address

__all__ = ["video"]

RESULT_ENDING = ".seg.mp4"


@click.command()
@click.argument("source", metavar="SOURCE")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help=f"Film (.mp4, .mov, .mkv, .webm) or folder for PNGs.  [default: SOURCE{RESULT_ENDING}]",
)
@MODEL
@click.option(
    "-k", "--kind", default="overlay", show_default=True, help="overlay, colour, cutout, …"
)
@CLASSES
@ALPHA
@film_options
@engine_options
@QUIET
def video(
    source: str,
    out: Path | None,
    model: str | None,
    kind: str,
    classes: str | None,
    alpha: float,
    every: int,
    batch_size: int | None,
    smooth: float,
    show: bool,
    engine: str,
    precision: str,
    quiet: bool,
) -> None:
    """Segment SOURCE: a film, an address (http://, rtsp://, …) or a camera's number.

    Ctrl-C keeps what was done until then; for a camera it is the way to end.

    \b
    easyseg video street.mp4 -o street.seg.mp4 --classes person,car
    easyseg video 0 --show
    """  # noqa: D301  (\b is click's mark for lines to keep)
    live = source.isdecimal() or is_address(source)
    if out is None and not live:
        out = Path(source).with_suffix(RESULT_ENDING)
    if out is None and not show:
        raise InputError(
            f"where should the film of {source} go? give -o, or --show to see it only."
        )
    film = int(source) if source.isdecimal() else source
    if out is not None:
        check_film(film, out, alpha=kind == "cutout")
    load_framework_when_needed()
    seg = SemanticSegmentation(
        model, batch_size=batch_size, engine=engine, precision=precision, progress=not quiet
    )
    with logging_redirect_tqdm():
        summary = seg.segment_video(
            film,
            out,
            kind=kind,
            alpha=alpha,
            classes=names_and_ids(classes),
            every=every,
            smooth=smooth,
            progress=not quiet,
            show=show,
        )
    click.echo(f"{summary} -> {out or 'the screen'}")
