"""`easyseg video`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from easyseg.api import SemanticSegmentation
from easyseg.cli import command
from easyseg.cli.options import (
    A_PATH,
    QUIET,
    WORKERS,
    ChosenModel,
    frame_options,
    inference_options,
    video_options,
)
from easyseg.cli.run import run_video
from easyseg.inference.video import VideoSummary
from easyseg.results.outputs import OutputSpec


@command()
@click.argument("source", metavar="SOURCE")
@click.option(
    "-o",
    "--out",
    type=A_PATH,
    help="Video (.mp4, .mov, .mkv, .webm) or folder for PNGs.  [default: SOURCE.seg.mp4]",
)
@frame_options
@video_options
@WORKERS
@inference_options
@QUIET
def video(
    source: str,
    out: Path | None,
    output: dict[str, Any],
    video_options: dict[str, Any],
    workers: int,
    model: ChosenModel,
    quiet: bool,
) -> None:
    """Segment SOURCE: a video, a URL (http://, rtsp://, ...) or a camera's index.

    Ctrl-C ends the run and keeps the frames so far; use it to stop a camera.

    \b
    easyseg video street.mp4 -o street.seg.mp4 --classes person,car
    easyseg video 0 --show
    """  # noqa: D301  (\b is click's mark for lines to keep)
    model.check_classes(output["classes"])

    def run(seg: SemanticSegmentation, subject: Any, out: Path | None) -> VideoSummary:
        options = {**output, **video_options, "workers": workers, "progress": not quiet}
        return seg.segment_video(subject, out, **options)

    run_video(
        model,
        source,
        out,
        OutputSpec(**output),
        run,
        show=video_options["show"],
        by_name=workers > 1,
    )
