"""What `segment`, `background` and `video` share: a run over images, and one over a video.

What cannot be read or written is reported before a model is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm.contrib.logging import logging_redirect_tqdm

from easyseg.api import SemanticSegmentation
from easyseg.cli.options import ChosenModel, echo
from easyseg.cli.summary import folder_run, report_folder
from easyseg.errors import InputError
from easyseg.inference.folder import FolderSummary, plan_folder
from easyseg.inference.scene import check_scene
from easyseg.inference.video import VideoSummary, check_video
from easyseg.io.find_images import describe_files
from easyseg.io.geotiff.reader import SceneReader
from easyseg.io.read_image import require_file
from easyseg.io.video import is_url, open_source
from easyseg.results.outputs import OutputSpec


def run_images(
    model: ChosenModel,
    sources: Sequence[str],
    out: Path | None,
    spec: OutputSpec,
    *,
    shard: str | None,
    kind: str | None = None,
    one: Callable[[SemanticSegmentation, str, Path], str] | None,
    many: Callable[[SemanticSegmentation, Any], FolderSummary],
) -> int:
    """Runs over images and prints a summary and what failed.

    Args:
        model: Opened when all else is fine.
        sources: As for `plan_folder`, and so are `out` and `spec`.
        out: File or folder.
        spec: What is written.
        shard: Which part of the images is done.
        kind: As for `plan_folder`.
        one: Writes the result of a single image and returns what is printed of it; `None` if
            a single image is run like many.
        many: Runs over several images.

    Returns:
        The exit code, 2 if an image failed.
    """
    plan = plan_folder(sources, out, spec, shard=shard, kind=kind)
    if len(plan.jobs) == 1 and one is not None:
        source, target = plan.jobs[0].image.source, plan.jobs[0].target
        if "://" not in source:
            require_file(Path(source))
        others = describe_files(plan.images.passed_over, "; passed over ")
        echo(f"{one(model.open(), source, target)}1 of 1 -> {target}{others}")
        return 0
    seg = model.open()
    with folder_run():
        summary = many(seg, plan.images)  # not searched for again
    return report_folder(summary)


def run_scene(
    model: ChosenModel,
    sources: Sequence[str],
    out: Path | None,
    output: Mapping[str, Any],
    *,
    bands: Sequence[int] | None,
    **options: Any,
) -> None:
    """Runs over a scene by windows and prints its areas.

    Args:
        model: Opened when all else is fine.
        sources: The scene.
        out: File; `None` for `SOURCE.seg.tif` beside it.
        output: What is written, as options of `OutputSpec`.
        bands: As chosen.
        options: Others of `segment_scene`.
    """
    if len(sources) > 1:
        raise InputError(f"bands={bands!r} are those of one scene. Give one TIFF file.")
    scene = Path(sources[0])
    target = scene.with_suffix(".seg.tif") if out is None else out
    check_scene(model.tile, scene, target, OutputSpec(**output))
    SceneReader(scene, bands).close()
    drawn = {name: output[name] for name in ("kind", "classes", "alpha")}
    with logging_redirect_tqdm():
        summary = model.open().segment_scene(scene, target, **drawn, bands=bands, **options)
    echo(f"{summary} -> {target}")


def refuse_for_scene(**values: Any) -> None:
    """Raises InputError for an option that is for many images."""
    for name, value in values.items():
        if value is not None:
            raise InputError(f"{name}= is for many images, not for a scene; leave it out.")


def run_video(
    model: ChosenModel,
    source: str,
    out: Path | None,
    spec: OutputSpec,
    run: Callable[[SemanticSegmentation, Any, Path | None], VideoSummary],
    *,
    show: bool,
    by_name: bool = False,
) -> None:
    """Runs over a video, a stream or a camera (`"0"`) and prints a summary.

    Args:
        model: Opened when all else is fine.
        source: The video; of a file the default output is `SOURCE.seg.mp4` beside it.
        out: File or folder; `None` for the default.
        spec: What is written.
        run: Runs from the opened video to `out`.
        show: Whether it is shown, so that it needs no output.
        by_name: Whether `run` gets the name of a file, which other processes open too.
    """
    subject: Any = int(source) if source.isdecimal() else source
    is_file = not source.isdecimal() and not is_url(source)
    if out is None and is_file:
        out = Path(source).with_suffix(".seg.mp4")
    if out is None and not show:
        raise InputError(f"the video of {source} has no output; give out=, or show=True.")
    check_video(subject, out, spec, show=show)
    if is_file:
        opened = open_source(subject)
        if by_name:
            opened.close()
        else:
            subject = opened
    seg = model.open()
    with logging_redirect_tqdm():
        summary = run(seg, subject, out)
    echo(f"{summary} -> {out or 'the screen'}")
