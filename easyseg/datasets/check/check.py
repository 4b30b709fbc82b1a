"""The data set doctor: what a data set holds, what is wrong with it, and what to train with."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from easyseg.datasets.alignment import misplaced
from easyseg.datasets.base import IGNORE, Dataset
from easyseg.datasets.check.inspect_sample import Facts, examine
from easyseg.datasets.check.near_duplicates import find_twins
from easyseg.errors import DatasetError

__all__ = ["CheckReport", "Proposal", "check"]

THREADS = 4
ALIGNED = 64  # samples whose edges are compared
RARE = 0.001  # share of the pixels below which a class is hard to learn
EMPTY = 0.5  # share of masks of one class from which it is worth a word
SMALL = 33  # pixels; networks of stride 32 see a single cell of such an image
LARGEST_CROP = 513


@dataclasses.dataclass(frozen=True)
class Proposal:
    """What to train with.

    Args:
        classes: Names of the classes that occur in the training samples.
        class_weights: One weight per class of the label set, from 0.1 to 10: the median of the
            classes' shares of the pixels over the class's own, as Eigen and Fergus (2015, section
            6.3.2) balance classes, but with shares of all pixels; 0 for classes that do not occur.
        crop: `(height, width)` in pixels, `32 k + 1` each, at most 513.
    """

    classes: tuple[str, ...]
    class_weights: tuple[float, ...]
    crop: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """What was found.

    Args:
        dataset: The data set.
        counts: Samples of each split.
        pixels: `{split: (classes,) int64}`.
        sizes: `(n, 2)` heights and widths of the images that can be read.
        fatal: What training cannot go on with; each names a file.
        warnings: What is likely to spoil it.
        proposal: What to train with; `None` if there is nothing to train on.
    """

    dataset: Dataset
    counts: dict[str, int]
    pixels: dict[str, np.ndarray]
    sizes: np.ndarray
    fatal: list[str]
    warnings: list[str]
    proposal: Proposal | None

    def raise_if_fatal(self) -> None:
        """Raises DatasetError with the first of `fatal`, which names the first bad file."""
        if self.fatal:
            more = f" ({len(self.fatal) - 1} more)" if len(self.fatal) > 1 else ""
            raise DatasetError(f"{self.fatal[0]}{more}")

    def __str__(self) -> str:
        from easyseg.datasets.check.report import tell  # noqa: PLC0415  (it needs this module)

        return tell(self)


def check(dataset: Dataset, *, quick: bool = False) -> CheckReport:
    """Examines all samples.

    Args:
        dataset: What to examine.
        quick: Read the masks and only the headers of the images: damaged images, shifted masks
            and leaks between splits are then not found.
    """
    rows = [(split, s) for split, samples in dataset.splits.items() for s in samples]
    step = max(1, len(rows) // ALIGNED)
    with ThreadPoolExecutor(THREADS) as pool:
        facts = list(
            pool.map(
                lambda i: examine(*rows[i], quick=quick, align=i % step == 0), range(len(rows))
            )
        )
    good = [f for f in facts if not f.problem]
    classes = len(dataset.label_set)
    pixels = {
        split: sum((f.pixels[:classes] for f in good if f.split == split), np.zeros(classes, int))
        for split in dataset.splits
    }
    return CheckReport(
        dataset=dataset,
        counts={split: len(samples) for split, samples in dataset.splits.items()},
        pixels=pixels,
        sizes=np.array([f.size for f in good], int).reshape(-1, 2),
        fatal=_fatal(dataset, facts, pixels),
        warnings=[
            *_about_files(dataset, good),
            *_about_classes(dataset, good, pixels),
            *_about_images(good),
        ],
        proposal=_propose(dataset, good, pixels),
    )


def _fatal(dataset: Dataset, facts: Sequence[Facts], pixels: dict[str, np.ndarray]) -> list[str]:
    found = [f.problem for f in facts if f.problem]
    if not facts:
        return [f"data set {dataset.name!r} has no samples; give images and their masks."]
    counting = sum(pixels.values(), np.zeros(len(dataset.label_set), int))
    if len(found) < len(facts) and not counting.any():
        found.append(
            f"{facts[0].sample.mask} and all other masks have no pixel that counts "
            f"({IGNORE} does not); check the ids and `ignore`."
        )
    train = pixels.get("train")
    if len(dataset.label_set) < 2 and train is not None:
        found.append(
            f"{facts[0].sample.mask} and all other masks have one class, "
            f"{dataset.label_set.names[0]!r}; there is nothing to tell apart: check the masks."
        )
    elif train is not None and np.count_nonzero(train) == 1:
        name = dataset.label_set.names[int(train.argmax())]
        found.append(
            f"{facts[0].sample.mask} and all other masks for training have only {name!r}; "
            "a network would learn to say nothing else: check the ids of the masks."
        )
    return found


def _about_files(dataset: Dataset, facts: Sequence[Facts]) -> list[str]:
    found = []
    for paths, what in (
        (dataset.unlabelled, "images have no mask and are not used"),
        (dataset.orphans, "masks have no image and are not used"),
    ):
        if paths:
            found.append(f"{len(paths)} {what}, the first: {paths[0]}.")
    jpeg = [f.sample.mask for f in facts if f.jpeg_mask]
    turned = [f.sample.image for f in facts if f.turned]
    resized = [f.sample.mask for f in facts if f.resized_mask]
    small = [f.sample.image for f in facts if min(f.size) < SMALL]
    for files, what in (
        (jpeg, "masks are JPEG files, which changes ids at edges"),
        (turned, "images are turned by their EXIF tag; look whether their masks are, too"),
        (resized, "masks are of another size than their images and resized by the nearest pixel"),
        (small, f"images are smaller than {SMALL} pixels"),
    ):
        if files:
            found.append(f"{len(files)} {what}, the first: {files[0]}.")
    return found


def _about_classes(
    dataset: Dataset, facts: Sequence[Facts], pixels: dict[str, np.ndarray]
) -> list[str]:
    found, label_set = [], dataset.label_set
    names = np.array(label_set.names)
    void = [f for f in facts if not f.pixels[: len(names)].any()]
    if void:
        found.append(
            f"{len(void)} masks have no pixel that counts, the first: {void[0].sample.mask}."
        )
    single = [f for f in facts if np.count_nonzero(f.pixels[: len(names)]) == 1]
    of_first = [f for f in single if f.pixels[0]]
    if len(of_first) > EMPTY * len(facts):
        found.append(
            f"{len(of_first)} of {len(facts)} masks have nothing but {label_set.names[0]!r}, "
            f"the first: {of_first[0].sample.mask}; a network may learn to say nothing else."
        )
    train = pixels.get("train", np.zeros(len(names), int))
    total = max(1, int(train.sum()))
    if train.any():
        elsewhere = sum((p for s, p in pixels.items() if s != "train"), np.zeros_like(train))
        for rows, what in (
            (names[(train == 0) & (elsewhere == 0)], "do not occur in any mask"),
            (names[(train == 0) & (elsewhere > 0)], "are measured, but not in the training split"),
            (
                names[(train > 0) & (train < RARE * total)],
                "have less than 0.1 % of the pixels; class_weights='auto' helps",
            ),
        ):
            if len(rows):
                found.append(f"{len(rows)} classes {what}: {_some(rows.tolist())}.")
    found += [f"there is no {s} split." for s in ("train", "val") if not dataset.splits.get(s)]
    if len(facts) == 1:
        found.append(f"there is a single sample, {facts[0].sample.image}; nothing can be measured.")
    return found


def _about_images(facts: Sequence[Facts]) -> list[str]:
    found = []
    wrong = misplaced([f.evidence for f in facts if f.evidence is not None])
    if wrong:
        found.append(f"{wrong}; look at the sheet.")
    between, within = find_twins(facts)
    for twins, what in (
        (between, "images are nearly the same as one of another split: figures will be too good"),
        (within, "images are nearly the same as another of their split"),
    ):
        if twins:
            first, second = twins[0].first, twins[0].second
            found.append(
                f"{len(twins)} {what}, the first: {first.sample.image} ({first.split}) and "
                f"{second.sample.image} ({second.split})."
            )
    return found


def _propose(
    dataset: Dataset, facts: Sequence[Facts], pixels: dict[str, np.ndarray]
) -> Proposal | None:
    train = pixels.get("train")
    if train is None or not train.any():
        return None
    shares = train / train.sum()
    present = shares > 0
    weights = np.zeros(len(shares))
    weights[present] = np.clip(np.median(shares[present]) / shares[present], 0.1, 10)
    sides = np.median([f.size for f in facts], axis=0)
    crop = np.clip(np.rint((sides - 1) / 32), 1, (LARGEST_CROP - 1) // 32).astype(int) * 32 + 1
    return Proposal(
        classes=tuple(
            n for n, there in zip(dataset.label_set.names, present, strict=True) if there
        ),
        class_weights=tuple(round(w, 3) for w in weights.tolist()),
        crop=(int(crop[0]), int(crop[1])),
    )


def _some(names: Sequence[str], count: int = 8) -> str:
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" * (len(names) > count))
