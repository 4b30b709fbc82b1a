"""`check_dataset`: what is wrong with a data set before training, and what to train it with."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from easyseg.datasets.base import IGNORE, Dataset
from easyseg.datasets.check.near_duplicates import find_near_duplicates
from easyseg.datasets.check.report import CheckReport, Proposal
from easyseg.datasets.class_names import BACKGROUND, FOREGROUND
from easyseg.datasets.class_weights import median_frequency_weights
from easyseg.datasets.open import open_dataset
from easyseg.datasets.scan import MUCH_IGNORED, DatasetScan, SampleScan, scan_dataset
from easyseg.datasets.splits import with_validation_split
from easyseg.io.open_image import IMAGE_EXTENSIONS
from easyseg.results.label_set import load_label_set
from easyseg.utils.validation import checked

RARE = 0.001  # fraction of the pixels below which a class is hard to learn
EMPTY = 0.5  # fraction of masks with the first class only above which there is a warning
SMALL = 33  # pixels; a network of stride 32 sees a single cell of a smaller image
MAX_CROP = 513


@checked
def check_dataset(data: str | os.PathLike[str] | Dataset, *, quick: bool = False) -> CheckReport:
    """Reads all samples and reports what is wrong.

    Args:
        data: What to check, as for `open_dataset`. Without a validation split, the one that
            training would hold out is part of the report.
        quick: Read only the headers of images: damaged images and duplicates are not noticed.

    Raises:
        DatasetError: The data set cannot be opened.
    """
    scan = scan_dataset(with_validation_split(open_dataset(data)), quick=quick)
    return CheckReport(
        scan=scan,
        errors=[*map(str, scan.errors), *_about_labels(scan)],
        warnings=[
            *scan.dataset.warnings,
            *_about_files(scan),
            *_about_ignored(scan),
            *_about_0_and_255(scan),
            *_about_empty_masks(scan),
            *_about_classes(scan),
            *_about_splits(scan),
            *_about_duplicates(scan),
        ],
        proposal=_propose(scan),
    )


def _about_labels(scan: DatasetScan) -> list[str]:
    """Errors: masks from which nothing can be learned."""
    dataset, readable = scan.dataset, scan.readable()
    if not scan.samples:
        return [f"data set {dataset.name!r} has no samples; add images and their masks."]
    if not readable:
        return []
    mask = readable[0].sample.mask
    masks = f"{mask} and all other masks"
    is_image = mask.suffix.lower() in IMAGE_EXTENSIONS
    cure = "ids in the masks" if is_image else "outlines and classes"
    only = f"have ignored pixels only ({IGNORE})"
    if not any(s.pixels.any() for s in readable):
        return [f"{masks} {only}; check the {cure}."]
    for split in ("train", "val"):
        part = scan.readable(split)
        if part and not scan.pixels(split).any():
            where = f"{part[0].sample.mask} and all other masks of {split}"
            return [f"{where} {only}; label more images, or check the {cure}."]
    train = scan.pixels("train")
    if dataset.splits.get("train") and np.count_nonzero(train) <= 1 and train.any():
        name = dataset.label_set.names[int(train.argmax())]
        ignored = is_image and any(s.ignored for s in readable)
        black_and_white = (
            f" Their other pixels are {IGNORE}, which is ignored unless the masks are black and "
            "white; then give two names, such as classes=['background', 'person']."
        )
        message = f"{masks} for training have one class only, {name!r}; check the {cure}."
        return [message + black_and_white if ignored else message]
    return []


def _about_files(scan: DatasetScan) -> list[str]:
    readable, dataset = scan.readable(), scan.dataset
    groups = (
        (dataset.images_without_mask, "images without a mask, which are not used"),
        (dataset.masks_without_image, "masks without an image, which are not used"),
        ([s.sample.mask for s in readable if s.jpeg_mask], "JPEG masks: ids change at edges"),
        (
            [s.sample.image for s in readable if s.rotated],
            "images rotated by their EXIF tag; check that their masks are, too",
        ),
        (
            [_file(s) for s in readable if s.resized_mask],
            "masks of another size than the image, resized to the nearest pixel",
        ),
        (
            [s.sample.image for s in readable if min(s.size) < SMALL],
            f"images with a side below {SMALL} pixels",
        ),
        (
            [_file(s) for s in readable if not s.pixels.any()],
            "masks with ignored pixels only, which are not used",
        ),
    )
    return [f"{what}: {len(paths)}, such as {paths[0]}." for paths, what in groups if paths]


def _about_ignored(scan: DatasetScan) -> list[str]:
    much = {s: scan.ignored(s) for s in scan.dataset.splits if scan.ignored(s) > MUCH_IGNORED}
    if not much:
        return []
    parts = ", ".join(f"{split} {fraction:.1%}" for split, fraction in much.items())
    most = max((s for s in scan.readable() if s.split in much), key=_ignored_fraction)
    where = f"{parts}, most in {_file(most)} ({_ignored_fraction(most):.0%})"
    cure = "nothing is learned or measured there, so make sure that they are of no class"
    return [f"ignored pixels ({IGNORE}): {where}; {cure}."]


def _about_0_and_255(scan: DatasetScan) -> list[str]:
    """Black and white masks among ids look like this."""
    alone = [
        s.sample.mask
        for s in scan.readable()
        if s.ignored and s.pixels[0] and not s.pixels[1:].any()
        if s.sample.mask.suffix.lower() in IMAGE_EXTENSIONS
    ]
    if not alone or IGNORE in scan.dataset.options.ignore:
        return []
    count = f"masks with {scan.dataset.label_set.names[0]!r} and ignored pixels only: {len(alone)}"
    cure = "if they are black and white, save them with the ids of the others"
    return [f"{count}, such as {alone[0]}; {cure}, or choose ignore=[{IGNORE}]."]


def _file(scan: SampleScan) -> Path:
    """The mask, or the image where masks are outlines: a COCO file has those of all images."""
    mask = scan.sample.mask
    return mask if mask.suffix.lower() in IMAGE_EXTENSIONS else scan.sample.image


def _ignored_fraction(scan: SampleScan) -> float:
    return scan.ignored / max(1, scan.ignored + int(scan.pixels.sum()))


def _about_empty_masks(scan: DatasetScan) -> list[str]:
    readable = scan.readable()
    empty = [s for s in readable if s.pixels[0] and not s.pixels[1:].any()]
    if len(empty) <= EMPTY * len(readable):
        return []
    name = scan.dataset.label_set.names[0]
    count = f"{len(empty)} of {len(readable)}, such as {_file(empty[0])}"
    return [f"masks with {name!r} only: {count}; a network may learn to predict nothing else."]


def _about_classes(scan: DatasetScan) -> list[str]:
    names, train = np.array(scan.dataset.label_set.names), scan.pixels("train")
    if not train.any():
        return []
    other = sum((scan.pixels(s) for s in scan.dataset.splits if s != "train"), 0 * train)
    groups = (
        (names[(train == 0) & (other == 0)].tolist(), "classes in no mask"),
        (names[(train == 0) & (other > 0)].tolist(), "classes in no training mask"),
        (
            names[(train > 0) & (train < RARE * train.sum())].tolist(),
            "rare classes, for which class weights help",
        ),
    )
    return [f"{what}: {len(c)} ({_listed(c)})." for c, what in groups if c]


def _about_splits(scan: DatasetScan) -> list[str]:
    splits = scan.dataset.splits
    warnings = [f"no {s} split." for s in ("train", "val") if not splits.get(s)]
    images = {s.sample.image for s in scan.samples}
    if len(images) == 1:
        warnings.append(f"a single image, {images.pop()}: metrics will not be meaningful.")
    return warnings


def _about_duplicates(scan: DatasetScan) -> list[str]:
    between, within = find_near_duplicates(scan.readable())
    groups = (
        (between, "images nearly the same as one of another split, so metrics will be too good"),
        (within, "images nearly the same as another of their split"),
    )
    return [
        f"{what}: {len(pairs)}, such as "
        f"{' and '.join(f'{scan.sample.image} ({scan.split})' for scan in pairs[0])}."
        for pairs, what in groups
        if pairs
    ]


def _propose(scan: DatasetScan) -> Proposal | None:
    train = [s for s in scan.readable("train") if s.pixels.any()]
    if not train:
        return None
    pixels = np.stack([s.pixels for s in train])
    sides = np.median([s.size for s in scan.readable()], axis=0)
    height, width = 32 * np.clip(np.rint((sides - 1) / 32), 1, MAX_CROP // 32).astype(int) + 1
    names = scan.dataset.label_set.names
    return Proposal(
        classes=tuple(n for n, count in zip(names, pixels.sum(0), strict=True) if count),
        start_classes=_start_classes(scan.dataset),
        class_weights=median_frequency_weights(pixels),
        crop=(int(height), int(width)),
    )


def _start_classes(dataset: Dataset) -> tuple[str, ...]:
    """Names for black and white masks without names; the object's is guessed from the data set's.

    They are those of Pascal VOC, whose classes the default start has, and most others too.
    """
    if dataset.label_set.names != (BACKGROUND, FOREGROUND):
        return ()
    voc = load_label_set("voc")
    known = [*voc.names[1:], *voc.aliases]
    words = re.split(r"[\W\d_]+", dataset.name.casefold())
    hits = [w for word in words for w in (word, word.removesuffix("s")) if w in known]
    return BACKGROUND, voc.names[voc.ids_of(hits[0])[0]] if hits else "person"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
