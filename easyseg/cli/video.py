"""`easyseg video`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from tqdm.contrib.logging import logging_redirect_tqdm

from easyseg.api import SemanticSegmentation
from easyseg.cli import command
from easyseg.cli.options import QUIET, echo, frame_options, inference_options, video_options
from easyseg.errors import InputError
from easyseg.inference.video import check_video
from easyseg.io.video import is_url, open_source
from easyseg.results.outputs import OutputSpec

__all__ = ["default_video", "video"]


@command()
@click.argument("source", metavar="SOURCE")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Video (.mp4, .mov, .mkv, .webm) or folder for PNGs.  [default: SOURCE.seg.mp4]",
)
@frame_options
@video_options
@inference_options
@QUIET
def video(
    source: str,
    out: Path | None,
    output: dict[str, Any],
    video_options: dict[str, Any],
    open_model: Callable[[], SemanticSegmentation],
    quiet: bool,
) -> None:
    """Segment SOURCE: a video, a URL (http://, rtsp://, ...) or a camera's index.

    Ctrl-C keeps the frames until then; for a camera it is the way to end.

    \b
    easyseg video street.mp4 -o street.seg.mp4 --classes person,car
    easyseg video 0 --show
    """  # noqa: D301  (\b is click's mark for lines to keep)
    out = out or default_video(source)
    if out is None and not video_options["show"]:
        raise InputError(f"the video of {source} has no output; give out=, or show=True.")
    subject: Any = int(source) if source.isdecimal() else source
    # what cannot be read or written is reported before the network is loaded
    check_video(subject, out, OutputSpec(**output), show=video_options["show"])
    if not source.isdecimal() and not is_url(source):
        subject = open_source(source)
    seg = open_model()
    with logging_redirect_tqdm():
        summary = seg.segment_video(subject, out, **output, **video_options, progress=not quiet)
    echo(f"{summary} -> {out or 'the screen'}")


def default_video(source: str) -> Path | None:
    """`SOURCE.seg.mp4` beside a file; `None` for cameras and streams."""
    if source.isdecimal() or is_url(source):
        return None
    return Path(source).with_suffix(".seg.mp4")
