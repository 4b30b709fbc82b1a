"""`easyseg background`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from tqdm.contrib.logging import logging_redirect_tqdm

from easyseg.api import SemanticSegmentation
from easyseg.cli._startup import load_framework_when_needed
from easyseg.cli.options import MODEL, QUIET, names_and_ids, runtime_options, video_options
from easyseg.errors import InputError
from easyseg.inference.background import edit_background
from easyseg.inference.video import VideoSummary, check_video
from easyseg.io.find_images import Found, check_overwrite, require_writable
from easyseg.io.read_image import require_file
from easyseg.io.video import is_video
from easyseg.results.backgrounds import BACKGROUNDS, BLUR_STRENGTHS
from easyseg.results.outputs.spec import OutputSpec

__all__ = ["background"]

DEFAULTS = {
    "frame_stride": 1,
    "smoothing": 0.0,
    "show": False,
}  # of options for videos
OPTIONS = {"change": "with", "color": "color", "blur": "strength"}  # effect: what it takes


@click.command()
@click.argument("effect", metavar="EFFECT")
@click.argument("source", metavar="SOURCE")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="File to write.")
@click.option("--with", "image", metavar="IMAGE", help="For change: what stands behind.")
@click.option("--color", help="For color: white, '#00ff00' or 'rgb(0,255,0)'.")
@click.option(
    "--strength",
    help=f"For blur: {', '.join(BLUR_STRENGTHS)}, or a number of pixels.  [default: moderate]",
)
@click.option("--keep", help="Classes to keep, with commas: person,dog.  [default: all found]")
@MODEL
@video_options
@runtime_options
@QUIET
def background(
    effect: str,
    source: str,
    out: Path,
    image: str | None,
    color: str | None,
    strength: str | None,
    keep: str | None,
    model: str | None,
    frame_stride: int,
    batch_size: int | None,
    smoothing: float,
    show: bool,
    runtime: str,
    precision: str,
    quiet: bool,
) -> None:
    """EFFECT (change, blur, color, gray or cutout) on what is behind the classes kept of SOURCE.

    SOURCE is an image, a video, an address, or a camera's number.

    \b
    easyseg background blur me.jpg -o blurred.png --keep person --strength extreme
    """  # noqa: D301  (\b is click's mark for lines to keep)
    option = _option(effect, {"with": image, "color": color, "strength": strength})
    subject = int(source) if source.isdecimal() else source
    video = is_video(subject)
    # what cannot be read or written is said before the network is loaded
    if video:
        check_video(subject, out, alpha=effect == "cutout")
    else:
        OutputSpec("cutout" if effect == "cutout" else "overlay").check_path(out)
        check_overwrite([Found(source, Path())], [out])
        if "://" not in source:
            require_file(Path(source))
    require_writable(out.parent)
    load_framework_when_needed()
    seg = SemanticSegmentation(
        model, batch_size=batch_size, runtime=runtime, precision=precision, progress=not quiet
    )
    given = {
        "frame_stride": frame_stride,
        "smoothing": smoothing,
        "show": show,
    }
    for_videos: dict[str, Any] = {n: value for n, value in given.items() if value != DEFAULTS[n]}
    if video:
        for_videos["progress"] = not quiet
    with logging_redirect_tqdm():
        done = edit_background(
            seg._predictor,
            subject,
            out,
            effect,
            option,
            keep=names_and_ids(keep),
            **for_videos,
        )
    click.echo(f"{done} -> {out}" if isinstance(done, VideoSummary) else f"1 of 1 -> {out}")


def _option(effect: str, given: dict[str, str | None]) -> Any:
    """The effect's option, which is checked here."""
    make, wanted = BACKGROUNDS[effect], OPTIONS.get(effect)
    for name, value in given.items():
        if value is not None and name != wanted:
            fits = next(e for e, n in OPTIONS.items() if n == name)
            raise InputError(f"--{name} is for {fits}, not for {effect}; leave it out.")
    option: Any = given.get(wanted or "")
    if wanted == "strength":
        option = _number(option or "moderate")
    elif wanted and option is None:
        raise InputError(f"{effect} needs --{wanted}; say what shall be behind.")
    make(option)
    return option


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text
