"""`easyseg background`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
from tqdm.contrib.logging import logging_redirect_tqdm

from easyseg.api import SemanticSegmentation
from easyseg.cli import command
from easyseg.cli.options import NAMES, QUIET, echo, inference_options, video_options
from easyseg.cli.summary import folder_run, report_folder
from easyseg.cli.video import default_video
from easyseg.errors import InputError
from easyseg.inference.folder import plan_folder
from easyseg.inference.video import check_video
from easyseg.io.find_images import describe_files
from easyseg.io.read_image import require_file
from easyseg.io.video import is_url, is_video, open_source
from easyseg.results.backgrounds import BACKGROUNDS, BLUR_STRENGTHS
from easyseg.results.outputs import OutputSpec
from easyseg.utils.registry import unknown_name

__all__ = ["EFFECTS", "background"]


class Effect(NamedTuple):
    """A method of `SemanticSegmentation`, its own option, and that option's default."""

    method: str
    option: str | None = None
    default: Any = None


EFFECTS = {
    "change": Effect("change_background", "background"),
    "blur": Effect("blur_background", "strength", "moderate"),
    "color": Effect("color_background", "color"),
    "gray": Effect("gray_background"),
    "cutout": Effect("cutout"),
}


def _strength(_: click.Context, __: click.Parameter, value: str | None) -> str | float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return value


@command()
@click.argument("effect", metavar="EFFECT")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="File for one image or video, else a folder.  [default: SOURCE.seg.png, SOURCE.seg.mp4]",
)
@click.option("--background", "image", metavar="IMAGE", help="For change: the new background.")
@click.option("--color", help="For color: white, '#00ff00' or 'rgb(0,255,0)'.")
@click.option(
    "--strength",
    callback=_strength,
    help=f"For blur: {', '.join(BLUR_STRENGTHS)}, or a number of pixels.  [default: moderate]",
)
@click.option("--keep", type=NAMES, help="Classes to keep: person,dog.  [default: all but void]")
@click.option("--resume", is_flag=True, help="Skip images that the JSON lines list as done.")
@video_options
@inference_options
@QUIET
def background(
    effect: str,
    sources: tuple[str, ...],
    out: Path | None,
    image: str | None,
    color: str | None,
    strength: str | float | None,
    keep: list[str | int] | None,
    resume: bool,
    video_options: dict[str, Any],
    open_model: Callable[[], SemanticSegmentation],
    quiet: bool,
) -> None:
    """Change what is behind the classes kept of SOURCE...

    EFFECT is change (another image), blur, color, gray or cutout (transparent). SOURCE... are
    images, folders, patterns ('*.jpg'), URLs or @list.txt; or one video, stream or camera's index.

    \b
    easyseg background blur me.jpg -o blurred.png --keep person --strength extreme
    easyseg background change photos -o out --background beach.jpg
    """  # noqa: D301  (\b is click's mark for lines to keep)
    option = _option(effect, {"background": image, "color": color, "strength": strength})

    def edit(source: Any, out: Path | None, **options: Any) -> Any:
        method = getattr(open_model(), EFFECTS[effect].method)
        return method(source, out=out, keep=keep, **option, **options)

    subject: Any = int(sources[0]) if sources[0].isdecimal() else sources[0]
    spec = OutputSpec("cutout" if effect == "cutout" else "overlay")
    # what cannot be read or written is reported before the network is loaded
    if len(sources) == 1 and is_video(subject):
        out = out or default_video(sources[0])
        check_video(subject, out, spec)
        if not isinstance(subject, int) and not is_url(subject):
            subject = open_source(subject)
        with logging_redirect_tqdm():
            summary = edit(subject, out, **video_options, progress=not quiet)
        echo(f"{summary} -> {out or 'the screen'}")
        return
    _refuse(video_options)
    plan = plan_folder(sources, out, spec)
    job = plan.jobs[0]
    if len(plan.jobs) == 1 and not job.image.problem and not resume:
        if "://" not in job.image.source:
            require_file(Path(job.image.source))
        edit(job.image.source, job.target)
        echo(f"1 of 1 -> {job.target}{describe_files(plan.images.passed_over, '; passed over ')}")
        return
    with folder_run():
        summary = edit(plan.images, out, resume=resume, progress=not quiet)
    sys.exit(report_folder(summary))


def _option(effect: str, values: dict[str, Any]) -> dict[str, Any]:
    """The effect's own option, checked."""
    if effect not in EFFECTS:
        raise unknown_name("effect", effect, EFFECTS)
    own = EFFECTS[effect]
    for name, value in values.items():
        if value is not None and name != own.option:
            user = next(e for e, other in EFFECTS.items() if other.option == name)
            raise InputError(f"{name}= is for {user}, not for {effect}; leave it out.")
    if own.option is None:
        BACKGROUNDS[effect](None)
        return {}
    value = values[own.option] if values[own.option] is not None else own.default
    if value is None:
        raise InputError(f"{effect} needs {own.option}=.")
    BACKGROUNDS[effect](value)
    return {own.option: value}


def _refuse(video_options: dict[str, Any]) -> None:
    context = click.get_current_context()
    for name in video_options:
        source = context.get_parameter_source(name)
        if source == click.core.ParameterSource.COMMANDLINE:
            raise InputError(f"{name}= is for videos; leave it out for images.")
