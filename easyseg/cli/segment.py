"""`easyseg segment`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from tqdm.contrib.logging import logging_redirect_tqdm

from easyseg.api import SemanticSegmentation
from easyseg.cli import one_line
from easyseg.cli._startup import load_framework_when_needed
from easyseg.cli.options import (
    ALPHA,
    CLASSES,
    MODEL,
    QUIET,
    inference_options,
    names_and_ids,
    runtime_options,
)
from easyseg.inference.folder import plan_folder
from easyseg.io.find_images import Job
from easyseg.io.read_image import require_file
from easyseg.results.outputs import OUTPUTS
from easyseg.results.outputs.spec import OutputSpec

__all__ = ["segment"]


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="File for one image, else a folder.  [default: SOURCE.seg.png beside each image]",
)
@MODEL
@click.option("-k", "--kind", default="overlay", show_default=True, help=f"{', '.join(OUTPUTS)}.")
@CLASSES
@ALPHA
@click.option("--legend", is_flag=True, help="Write names and shares into the image.")
@click.option("--resume", is_flag=True, help="Skip what the JSON lines say is done.")
@click.option(
    "--jsonl",
    type=click.Path(path_type=Path),
    help="Class areas, a JSON object on each line.  [default: results.jsonl in the folder of "
    "results, or of the images; none for one image]",
)
@inference_options
@runtime_options
@QUIET
def segment(
    sources: tuple[str, ...],
    out: Path | None,
    model: str | None,
    kind: str,
    classes: str | None,
    alpha: float,
    legend: bool,
    resume: bool,
    jsonl: Path | None,
    batch_size: int | None,
    output_stride: int | None,
    tile: int | None,
    scales: tuple[float, ...],
    flip: bool,
    runtime: str,
    precision: str,
    quiet: bool,
) -> None:
    """Segment SOURCE...: images, folders, patterns ('*.jpg'), addresses or @list.txt.

    @list.txt is a file with a source on each line.

    An image that cannot be read does not stop the others; the exit code is then 2.
    """
    # what cannot be read or written is said before the network is loaded
    jobs = plan_folder(sources, out, OutputSpec(kind, alpha))
    single = len(jobs) == 1 and not resume and jsonl is None
    if single and "://" not in jobs[0].image.source:
        require_file(Path(jobs[0].image.source))
    load_framework_when_needed()
    seg = SemanticSegmentation(
        model,
        output_stride=output_stride,
        batch_size=batch_size,
        tile=tile,
        scales=scales,
        flip=flip,
        runtime=runtime,
        precision=precision,
        progress=not quiet,
    )
    drawing: dict[str, Any] = {
        "kind": kind,
        "alpha": alpha,
        "legend": legend,
        "classes": names_and_ids(classes),
    }
    if single:
        _segment_one(seg, jobs[0], drawing)
        return
    images: list[Any] = [job.image for job in jobs]  # not searched for again
    with logging_redirect_tqdm():  # warnings stand on lines of their own, above the bar
        summary = seg.segment_folder(
            images,
            out,
            resume=resume,
            jsonl=jsonl,
            progress=not quiet,
            **drawing,
        )
    if summary.done or summary.skipped:
        click.echo(summary)
    for _, message in summary.failed:
        click.echo(f"easyseg: {one_line(message)}", err=True)
    if summary.failed:
        sys.exit(2)


def _segment_one(seg: SemanticSegmentation, job: Job, drawing: dict[str, Any]) -> None:
    result = seg.segment_image(job.image.source, job.target, **drawing)
    pairs = zip(result.class_names, result.ratios, strict=True)
    spent = sum(result.speed.values()) / 1000
    areas = ", ".join(f"{name} {100 * ratio:.1f} %" for name, ratio in pairs)
    click.echo(f"{areas} ({spent:.2f} s)\n1 of 1 -> {job.target}")
