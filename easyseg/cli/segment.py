"""`easyseg segment`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from easyseg.api import SemanticSegmentation
from easyseg.cli import command
from easyseg.cli.options import QUIET, echo, inference_options, output_options
from easyseg.cli.summary import folder_run, report_folder
from easyseg.inference.folder import FolderPlan, plan_folder
from easyseg.io.find_images import describe_files
from easyseg.io.read_image import require_file
from easyseg.results.outputs import OutputSpec

__all__ = ["segment"]


@command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="File for one image, else a folder.  [default: SOURCE.seg.png beside each image]",
)
@output_options
@click.option("--resume", is_flag=True, help="Skip images that the JSON lines list as done.")
@click.option(
    "--jsonl",
    type=click.Path(path_type=Path),
    help="Class areas, one JSON object per line.  [default: results.jsonl in the folder of "
    "results, or of the images; none for one image]",
)
@inference_options
@QUIET
def segment(
    sources: tuple[str, ...],
    out: Path | None,
    output: dict[str, Any],
    resume: bool,
    jsonl: Path | None,
    open_model: Callable[[], SemanticSegmentation],
    quiet: bool,
) -> None:
    """Segment SOURCE...: images, folders, patterns ('*.jpg'), URLs or @list.txt.

    @list.txt is a file with a source on each line.

    An image that cannot be read does not stop the others; the exit code is then 2.
    """
    # what cannot be read or written is reported before the network is loaded
    plan = plan_folder(sources, out, OutputSpec(**output))
    image = plan.jobs[0].image
    single = len(plan.jobs) == 1 and not image.problem and not resume and jsonl is None
    if single and "://" not in image.source:
        require_file(Path(image.source))
    seg = open_model()
    if single:
        _segment_one(seg, plan, output)
        return
    images: Any = plan.images  # not searched for again
    with folder_run():
        summary = seg.segment_folder(
            images,
            out,
            **output,
            resume=resume,
            jsonl=jsonl,
            progress=not quiet,
        )
    sys.exit(report_folder(summary))


def _segment_one(seg: SemanticSegmentation, plan: FolderPlan, output: dict[str, Any]) -> None:
    job = plan.jobs[0]
    result = seg.segment_image(job.image.source, job.target, **output)
    pairs = zip(result.class_names, result.ratios, strict=True)
    seconds = sum(result.speed.values()) / 1000
    areas = ", ".join(f"{name} {100 * ratio:.1f} %" for name, ratio in pairs)
    others = describe_files(plan.images.passed_over, "; passed over ")
    echo(f"{areas} ({seconds:.2f} s)\n1 of 1 -> {job.target}{others}")
