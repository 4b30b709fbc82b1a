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
from easyseg.results.segmentation import Segmentation
from easyseg.weights.bundle import EMBEDDED, MINI

IMAGES = ("astronaut.png", "chelsea.png")  # a person, a cat: scikit-image's sample images
KINDS = ("overlay", "mask", "cutout")
SURE = 0.6  # mean confidence of an area below which its class is said to be unsure


@command()
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default="demo-output",
    show_default=True,
    help="Folder for the images.",
)
@click.option("-m", "--model", help="Name or folder.  [default: both embedded models]")
@QUIET
def demo(out: Path, model: str | None, quiet: bool) -> None:
    """Segment two sample images: an overlay, a mask and a cutout of the largest class of each.

    "unsure" marks classes whose pixels have a mean confidence below 60 %.
    """
    images = _sample_images()
    models = EMBEDDED if model is None else (model,)
    for name in models:
        started = time.perf_counter()
        seg = SemanticSegmentation(name, progress=not quiet)
        echo(f"{name}: loaded in {time.perf_counter() - started:.1f} s")
        for image in images:
            stem = image.stem if name == MINI or model else f"{image.stem}.{name}"
            result = seg.segment_image(image)
            for kind in KINDS:
                shown = _largest(result) if kind == "cutout" else result
                shown.save(out / f"{stem}.{kind}.png", kind, legend=kind == "overlay")
            _describe(image.name, result)
        echo("")
    echo(f"{len(models) * len(images) * len(KINDS)} images in {out}/")


def _largest(result: Segmentation) -> Segmentation:
    """Its largest class alone: where every pixel has a class, a cutout of all is the image."""
    void = result.label_set.name_of(result.label_set.void)
    names = [name for name in result.class_names if name != void]
    return result.filter(names[:1]) if names else result


def _describe(name: str, result: Segmentation) -> None:
    height, width = result.labels.shape
    echo(f"\n{name} ({width}x{height})")
    for class_name, ratio in zip(result.class_names, result.ratios, strict=True):
        confidence = float(result.confidence[result.masks[class_name]].mean())
        unsure = f"  unsure (confidence {100 * confidence:.0f} %)" if confidence < SURE else ""
        echo(f"  {class_name:<12} {100 * ratio:5.1f} %{unsure}")
    spent = ", ".join(f"{step} {ms:.0f} ms" for step, ms in result.speed.items())
    echo(f"  {spent}")


def _sample_images() -> list[Path]:
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise ImageNotFoundError(
            "the demo's images come with scikit-image, which is not installed: "
            "pip install 'easyseg[demo]', or segment an image of your own: easyseg segment IMAGE."
        )
    return [Path(package.origin).parent / "data" / name for name in IMAGES]
