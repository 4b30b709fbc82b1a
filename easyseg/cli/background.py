"""`easyseg background`."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import click

from easyseg.api import SemanticSegmentation
from easyseg.cli import command, is_given
from easyseg.cli.options import (
    A_PATH,
    NAMES,
    QUIET,
    SHARD,
    ChosenModel,
    inference_options,
    video_options,
)
from easyseg.cli.run import run_images, run_video
from easyseg.errors import InputError
from easyseg.io.video import is_video
from easyseg.results.backgrounds import BACKGROUNDS, BLUR_STRENGTHS
from easyseg.results.outputs import OutputSpec
from easyseg.utils.registry import unknown_name


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
    type=A_PATH,
    help="File for one image or video, else a folder.  [default: SOURCE.seg.png, SOURCE.seg.mp4]",
)
@click.option("--background", "image", metavar="IMAGE", help="For change: the new background.")
@click.option("--color", help="For color: white, '#00ff00' or 'rgb(0,255,0)'.")
@click.option(
    "--strength",
    callback=_strength,
    help=f"For blur: {', '.join(BLUR_STRENGTHS)}, or a number of pixels.  [default: moderate]",
)
@click.option(
    "--keep", type=NAMES, help="Classes to keep: person,dog.  [default: all but the background]"
)
@click.option("--resume", is_flag=True, help="Skip images that the JSON lines list as done.")
@SHARD
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
    shard: str | None,
    video_options: dict[str, Any],
    model: ChosenModel,
    quiet: bool,
) -> int:
    """Change the background of SOURCE..., behind the classes to keep.

    EFFECT is change (another image), blur, color, gray or cutout (transparent). SOURCE... are
    images, folders, patterns ('*.jpg'), URLs or @list.txt; or one video, stream or camera's index.

    \b
    easyseg background blur me.jpg -o blurred.png --keep person --strength extreme
    easyseg background change images -o out --background beach.jpg
    """  # noqa: D301  (\b is click's mark for lines to keep)
    option = _option(effect, {"background": image, "color": color, "strength": strength})
    model.check_classes(keep)

    def edit(seg: SemanticSegmentation, source: Any, out: Path | None, **options: Any) -> Any:
        method = getattr(seg, EFFECTS[effect].method)
        return method(source, out=out, keep=keep, **option, **options)

    def edit_one(seg: SemanticSegmentation, image: str, target: Path) -> str:
        edit(seg, image, target)
        return ""

    spec = OutputSpec("cutout" if effect == "cutout" else "overlay")
    is_index = sources[0].isdecimal()
    if len(sources) == 1 and is_video(0 if is_index else sources[0]):
        _refuse(["resume", "shard"], "is for images; leave it out for a video")
        run = functools.partial(edit, **video_options, progress=not quiet)
        run_video(model, sources[0], out, spec, run, show=video_options["show"])
        return 0
    _refuse(video_options, "is for videos; leave it out for images")
    many = functools.partial(edit, out=out, resume=resume, shard=shard, progress=not quiet)
    one = edit_one if not resume and shard is None else None
    return run_images(model, sources, out, spec, shard=shard, kind=effect, one=one, many=many)


def _option(effect: str, values: dict[str, Any]) -> dict[str, Any]:
    """The effect's own option, checked."""
    if effect not in EFFECTS:
        raise unknown_name("effect", effect, EFFECTS)
    own = EFFECTS[effect]
    for name, value in values.items():
        if value is not None and name != own.option:
            user = next(e for e, other in EFFECTS.items() if other.option == name)
            raise InputError(f"{name}= is for the effect {user}, not for {effect}; leave it out.")
    if own.option is None:
        BACKGROUNDS[effect](None)
        return {}
    value = values[own.option] if values[own.option] is not None else own.default
    if value is None:
        raise InputError(f"The effect {effect} needs {own.option}=.")
    BACKGROUNDS[effect](value)
    return {own.option: value}


def _refuse(names: Iterable[str], why: str) -> None:
    for name in names:
        if is_given(name):
            raise InputError(f"{name}= {why}.")
