"""`easyseg segment`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from easyseg.api import SemanticSegmentation
from easyseg.cli import command, is_given
from easyseg.cli.cluster import local_path, ray_run_options, refuse_on_cluster, segment_on
from easyseg.cli.options import (
    A_PATH,
    BANDS,
    QUIET,
    SHARD,
    ChosenModel,
    inference_options,
    output_options,
)
from easyseg.cli.run import refuse_for_scene, run_images, run_scene
from easyseg.errors import InputError
from easyseg.inference.folder import FolderSummary
from easyseg.inference.scene import is_scene
from easyseg.results.outputs import OutputSpec


@command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "-o",
    "--out",
    help="File for one image, else a folder, or names such as 'out/{stem}_seg.png'; with --ray "
    "also s3://... and gs://...  [default: SOURCE.seg.png beside each image]",
)
@output_options
@click.option("--resume", is_flag=True, help="Skip images that the JSON lines list as done.")
@SHARD
@click.option(
    "--jsonl",
    type=A_PATH,
    help="Class areas, one JSON object per line.  [default: results.jsonl in the folder of "
    "results, or of the images; none for one image]",
)
@click.option(
    "--csv",
    "csv_file",
    type=A_PATH,
    help="Class areas as CSV, a line for each image and a column for each class.",
)
@BANDS
@ray_run_options
@inference_options
@QUIET
def segment(
    sources: tuple[str, ...],
    out: str | None,
    output: dict[str, Any],
    resume: bool,
    shard: str | None,
    jsonl: Path | None,
    csv_file: Path | None,
    bands: list[int] | None,
    cluster: dict[str, Any] | None,
    model: ChosenModel,
    quiet: bool,
) -> int:
    """Segment SOURCE...: images, folders, patterns ('*.jpg'), URLs or @list.txt.

    @list.txt is a file with a source on each line.

    A TIFF with more than --max-pixels, or with --bands, is segmented by windows of --tile pixels;
    its labels (-k mask by default) are written as a tiled TIFF at the same position.

    An image that cannot be read does not stop the others; the exit code is then 2.
    """
    model.check_classes(output["classes"])
    if cluster is not None:
        refuse_on_cluster(shard=shard, bands=bands)
        options = {**output, "resume": resume, "jsonl": jsonl, "csv": csv_file}
        options["progress"] = not quiet
        return segment_on(cluster, model, sources, out, **options)

    folder = local_path(out)
    workers = click.get_current_context().params["workers"]
    if bands is not None or (len(sources) == 1 and is_scene(sources[0])):
        refuse_for_scene(resume=resume or None, shard=shard, csv=csv_file)
        output = output if is_given("kind") else {**output, "kind": "mask"}
        options = {"bands": bands, "workers": workers or 1, "jsonl": jsonl}
        run_scene(model, sources, folder, output, progress=not quiet, **options)
        return 0
    if workers is not None:
        raise InputError(
            f"workers={workers!r} is for a cluster or a TIFF by windows; give ray= too, or bands= "
            "for a TIFF of fewer pixels than max_pixels=, or leave it out: one process uses all "
            "cores."
        )

    def segment_one(seg: SemanticSegmentation, image: str, target: Path) -> str:
        result = seg.segment_image(image, target, **output)
        pairs = zip(result.class_names, result.ratios, strict=True)
        seconds = sum(result.speed.values()) / 1000
        areas = ", ".join(f"{name} {100 * ratio:.1f} %" for name, ratio in pairs)
        return f"{areas} ({seconds:.2f} s)\n"

    def segment_many(seg: SemanticSegmentation, images: Any) -> FolderSummary:
        return seg.segment_folder(
            images,
            folder,
            **output,
            resume=resume,
            shard=shard,
            jsonl=jsonl,
            csv=csv_file,
            progress=not quiet,
        )

    as_many = resume or any(value is not None for value in (shard, jsonl, csv_file))
    one, spec = None if as_many else segment_one, OutputSpec(**output)
    return run_images(model, sources, folder, spec, shard=shard, one=one, many=segment_many)
