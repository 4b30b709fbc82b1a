"""`easyseg video`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from tqdm.contrib.logging import logging_redirect_tqdm

from easyseg.api import SemanticSegmentation
from easyseg.cli._startup import load_framework_when_needed
from easyseg.cli.options import (
    ALPHA,
    CLASSES,
    MODEL,
    QUIET,
    names_and_ids,
    runtime_options,
    video_options,
)
from easyseg.errors import InputError
from easyseg.inference.video import check_video
from easyseg.io.video import is_url, open_source

__all__ = ["video"]

RESULT_ENDING = ".seg.mp4"


@click.command()
@click.argument("source", metavar="SOURCE")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help=f"Video (.mp4, .mov, .mkv, .webm) or folder for PNGs.  [default: SOURCE{RESULT_ENDING}]",
)
@MODEL
@click.option(
    "-k", "--kind", default="overlay", show_default=True, help="overlay, color, cutout, …"
)
@CLASSES
@ALPHA
@video_options
@runtime_options
@QUIET
def video(
    source: str,
    out: Path | None,
    model: str | None,
    kind: str,
    classes: str | None,
    alpha: float,
    frame_stride: int,
    batch_size: int | None,
    smoothing: float,
    show: bool,
    runtime: str,
    precision: str,
    quiet: bool,
) -> None:
    """Segment SOURCE: a video, an address (http://, rtsp://, …) or a camera's number.

    Ctrl-C keeps what was done until then; for a camera it is the way to end.

    \b
    easyseg video street.mp4 -o street.seg.mp4 --classes person,car
    easyseg video 0 --show
    """  # noqa: D301  (\b is click's mark for lines to keep)
    live = source.isdecimal() or is_url(source)
    if out is None and not live:
        out = Path(source).with_suffix(RESULT_ENDING)
    if out is None and not show:
        raise InputError(
            f"where should the video of {source} go? give -o, or --show to see it only."
        )
    video: Any = int(source) if source.isdecimal() else source
    if out is not None:
        check_video(video, out, alpha=kind == "cutout")
    if not live:  # a file that is not a video is reported before the network is loaded
        video = open_source(video)
    load_framework_when_needed()
    seg = SemanticSegmentation(
        model, batch_size=batch_size, runtime=runtime, precision=precision, progress=not quiet
    )
    with logging_redirect_tqdm():
        summary = seg.segment_video(
            video,
            out,
            kind=kind,
            alpha=alpha,
            classes=names_and_ids(classes),
            frame_stride=frame_stride,
            smoothing=smoothing,
            progress=not quiet,
            show=show,
        )
    click.echo(f"{summary} -> {out or 'the screen'}")
