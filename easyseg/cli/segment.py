"""`easyseg segment`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from easyseg.cli import one_line
from easyseg.cli.quiet import load_framework
from easyseg.errors import EasysegError, InputError, OutputError
from easyseg.facade import SemanticSegmentation
from easyseg.imaging import IMAGE_SUFFIXES, require_file
from easyseg.result import Segmentation, check_output
from easyseg.sources import Found, find_images, result_paths

__all__ = ["segment"]


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="File for one picture, else a folder.  [default: SOURCE.seg.png beside each picture]",
)
@click.option("-m", "--model", help="Name from `easyseg models`, or a folder.  [default: mini]")
@click.option(
    "-k", "--kind", default="overlay", show_default=True, help="overlay, colour, mask or cutout."
)
@click.option("-c", "--classes", help="Only these, with commas: person,car.")
@click.option(
    "--alpha",
    default=0.6,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Strength of the overlay.",
)
@click.option("--legend", is_flag=True, help="Write names and shares into the picture.")
@click.option(
    "--output-stride", type=click.Choice(["8", "16", "32"]), help="8 is finer and slower."
)
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def segment(
    sources: tuple[str, ...],
    out: Path | None,
    model: str | None,
    kind: str,
    classes: str | None,
    alpha: float,
    legend: bool,
    output_stride: str | None,
    quiet: bool,
) -> None:
    """Segment SOURCE...: pictures, folders, patterns ('*.jpg') or web addresses.

    A picture that cannot be read does not stop the others; the exit code is then 2.
    """
    found = find_images(sources, results=out)
    targets = _targets(sources, found, out)
    for target in targets:  # what cannot be written is said before any work is done
        check_output(target, kind, alpha=alpha)
    _require_writable(targets[0].parent)
    _spare_sources(found, targets)
    if len(found) == 1 and "://" not in found[0].source:
        require_file(Path(found[0].source))  # said before the network is loaded
    load_framework()
    seg = SemanticSegmentation(
        model, output_stride=int(output_stride) if output_stride else None, progress=not quiet
    )
    wanted = seg.label_set.ids_of(_names_and_ids(classes)) if classes else None
    results, failed = 0, []
    bar = tqdm(
        list(zip(found, targets, strict=True)), disable=quiet or len(found) < 2, unit="picture"
    )
    with logging_redirect_tqdm():  # warnings stand on lines of their own, above the bar
        for picture, target in bar:
            try:
                result = seg.segment_image(
                    picture.source, target, kind=kind, alpha=alpha, classes=wanted, legend=legend
                )
                results += 1
            except EasysegError as error:
                failed.append(one_line(error))
    if results:
        if len(found) == 1:
            click.echo(_summary(result))
        place = targets[0] if len(found) == 1 else out or "beside the pictures"
        click.echo(f"{results} of {len(found)} -> {place}")
    for line in failed:
        click.echo(f"easyseg: {line}", err=True)
    if failed:
        sys.exit(2)


def _names_and_ids(classes: str) -> list[str | int]:
    return [int(c) if c.strip().isdecimal() else c for c in classes.split(",")]


def _targets(sources: tuple[str, ...], found: list[Found], out: Path | None) -> list[Path]:
    is_file = out is not None and out.suffix.lower() in IMAGE_SUFFIXES and not out.is_dir()
    if not is_file:
        if out is not None and out.is_file():
            raise InputError(f"-o {out} is a file, but not a picture; give a folder or a .png.")
        return result_paths(found, out)
    if len(found) > 1:
        raise InputError(
            f"-o {out} is one file, but {' '.join(sources[:3])} means {len(found)} pictures; "
            "give a folder."
        )
    return [out] if out else []


def _require_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written ({error.strerror}); choose another place with -o."
        ) from error


def _spare_sources(found: list[Found], targets: list[Path]) -> None:
    pictures = {Path(p.source).resolve() for p in found if "://" not in p.source}
    for target in targets:
        if target.resolve() in pictures:
            raise InputError(
                f"the result would overwrite the picture {target}; give another place with -o."
            )


def _summary(result: Segmentation) -> str:
    pairs = zip(result.class_names, result.ratios, strict=True)
    spent = sum(result.speed.values()) / 1000
    return ", ".join(f"{name} {ratio:.1f} %" for name, ratio in pairs) + f" ({spent:.2f} s)"
