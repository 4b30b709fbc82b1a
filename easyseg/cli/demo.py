"""`easyseg demo`."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

import click

from easyseg.api import SemanticSegmentation
from easyseg.cli import command
from easyseg.cli.options import QUIET, echo
from easyseg.errors import ImageNotFoundError

IMAGES = ("astronaut.png", "chelsea.png")  # a person, a cat: scikit-image's sample images
KINDS = ("overlay", "mask", "cutout")


@command()
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default="demo-output",
    show_default=True,
    help="Folder for the images.",
)
@click.option("-m", "--model", default="mini", show_default=True, help="Name or folder.")
@QUIET
def demo(out: Path, model: str, quiet: bool) -> None:
    """Segment two sample images: an overlay, a mask and a cut-out of each."""
    images = _sample_images()
    started = time.perf_counter()
    seg = SemanticSegmentation(model, progress=not quiet)
    echo(f"{model}: loaded in {time.perf_counter() - started:.1f} s")
    for image in images:
        result = seg.segment_image(image)
        for kind in KINDS:
            result.save(out / f"{image.stem}.{kind}.png", kind, legend=kind == "overlay")
        height, width = result.labels.shape
        echo(f"\n{image.name} ({width}x{height})")
        for name, ratio in zip(result.class_names, result.ratios, strict=True):
            echo(f"  {name:<12} {100 * ratio:5.1f} %")
        spent = ", ".join(f"{step} {ms:.0f} ms" for step, ms in result.speed.items())
        echo(f"  {spent}")
    echo(f"\n{len(images) * len(KINDS)} images in {out}/")


def _sample_images() -> list[Path]:
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise ImageNotFoundError(
            "the demo's images come with scikit-image, which is not installed: "
            "pip install 'easyseg[demo]', or segment an image of your own: easyseg segment IMAGE."
        )
    return [Path(package.origin).parent / "data" / name for name in IMAGES]
