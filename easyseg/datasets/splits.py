"""Which samples are for training, validation and test: the only rule for missing splits."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from easyseg.datasets.base import IGNORE, SPLITS, Dataset, Sample
from easyseg.errors import DatasetError, EasysegError
from easyseg.results.label_set import LabelSet

FRACTION = 0.1  # of the samples: the validation split, and the test split


def make_dataset(
    name: str,
    label_set: LabelSet,
    samples: Iterable[tuple[str, Sample]],
    *,
    notes: Sequence[str] = (),
    warnings: Sequence[str] = (),
    images_without_mask: Iterable[Path] = (),
    masks_without_image: Iterable[Path] = (),
) -> Dataset:
    """A data set of samples that have a split or none ("").

    If no sample has a split, they are divided 80/10/10 by a hash of their names, so that neither
    the order of the files nor the machine matters: with two samples or more there is one for
    validation, with five or more one for the test. Masks of ignored pixels only are never all of
    a split, unless there are no others.

    An image that is listed again is one sample. Of two splits, one may be all of the other.

    Args:
        name: Of the data set.
        label_set: Its classes.
        samples: Pairs of "train", "val", "test" or "", and a sample.
        notes: What was assumed, merged or left out.
        warnings: What may be meant otherwise.
        images_without_mask: Images that are not used.
        masks_without_image: Masks that are not used.

    Raises:
        DatasetError: An image is in two splits, or has two masks.
    """
    splits, same = _by_split(samples)
    unassigned = splits.pop("")
    has_own_splits = any(splits.values()) or not unassigned
    notes = [*notes, *same]
    if not has_own_splits:
        splits = _divide(unassigned)
        counts = ", ".join(f"{split} ({len(part)})" for split, part in splits.items())
        notes.append(
            f"The files name no splits: divided 80/10/10 into {counts}; "
            "an evaluation without a chosen split measures all."
        )
    elif unassigned:
        splits["train"] += unassigned
        notes.append(f"{len(unassigned)} samples without a split are used for training.")
    return Dataset(
        name=name,
        format="",
        label_set=label_set,
        splits={split: part for split, part in splits.items() if part},
        notes=tuple(notes),
        warnings=tuple(warnings),
        images_without_mask=tuple(images_without_mask),
        masks_without_image=tuple(masks_without_image),
        has_own_splits=has_own_splits,
    )


def with_validation_split(dataset: Dataset) -> Dataset:
    """The data set, with a tenth of the training split held out if it has no validation split.

    Of a single training image there is nothing to hold out: it is used for validation too.
    """
    train = dataset.splits.get("train", ())
    if not train or dataset.splits.get("val"):
        return dataset
    if len(train) == 1:
        val = train
        note = "The only training image is also used for validation, so metrics are too good."
    else:
        ordered, count = _in_order(train), _count(train)
        parts = {"train": ordered[count:], "val": ordered[:count]}
        _spread_labels(parts)
        held_out = {id(sample) for sample in parts["val"]}
        val = [sample for sample in train if id(sample) in held_out]
        train = [sample for sample in train if id(sample) not in held_out]
        note = f"There is no validation split: {len(val)} training samples are held out for it."
    splits = {**dataset.splits, "train": train, "val": val}
    return dataclasses.replace(dataset, splits=splits, notes=(*dataset.notes, note))


def _by_split(samples: Iterable[tuple[str, Sample]]) -> tuple[dict[str, list[Sample]], list[str]]:
    """Samples by split ("" for none), each image once, and notes of splits that are the same."""
    by_image: dict[str, dict[str, Sample]] = {split: {} for split in ("train", "val", "test", "")}
    folders: dict[Path, str] = {}  # as `realpath` takes long
    for split, sample in samples:
        folder = sample.image.parent
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        is_link = sample.image.is_symlink()
        path = (
            os.path.realpath(sample.image) if is_link else f"{folders[folder]}/{sample.image.name}"
        )
        other = by_image[split].setdefault(path, sample)
        if other.mask != sample.mask:
            raise DatasetError(
                f"{sample.image} has two masks, {other.mask} and {sample.mask}; "
                "remove one of the two."
            )
    notes = []
    for one, two in itertools.combinations(SPLITS, 2):
        both = by_image[one].keys() & by_image[two].keys()
        if both and by_image[one].keys() == by_image[two].keys():
            notes.append(f"{one} and {two} are the same images, so metrics will be too good.")
        elif both:
            sample = by_image[one][min(both)]
            raise DatasetError(
                f"{sample.image} is in two splits, {one} and {two}"
                f"{f', as {len(both) - 1} more images are' if len(both) > 1 else ''}; "
                "remove it from one of the two."
            )
    in_a_split = set().union(*(by_image[split] for split in SPLITS))
    by_image[""] = {path: s for path, s in by_image[""].items() if path not in in_a_split}
    return {split: list(part.values()) for split, part in by_image.items()}, notes


def _divide(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """80 % for training, 10 % for validation, 10 % for the test."""
    ordered = _in_order(samples)
    val = _count(samples) if len(samples) >= 2 else 0
    test = _count(samples) if len(samples) >= 5 else 0
    parts = {
        "train": ordered[val + test :],
        "val": ordered[:val],
        "test": ordered[val : val + test],
    }
    _spread_labels(parts)
    return {split: sorted(part, key=lambda s: s.name) for split, part in parts.items()}


def _spread_labels(parts: dict[str, list[Sample]]) -> None:
    """Exchanges samples, so that no split has masks of ignored pixels only, if others can help.

    Training comes first, then validation. Masks are read until one in each split shows a class.
    """
    for split, part in parts.items():
        if not part or any(map(_shows_class, part)):
            continue
        for giver in reversed(parts):
            keeps = list(parts).index(giver) < list(parts).index(split)
            labeled = (i for i, sample in enumerate(parts[giver]) if _shows_class(sample))
            spare = list(itertools.islice(labeled, 1 + keeps))[keeps:]
            if spare:
                part[0], parts[giver][spare[0]] = parts[giver][spare[0]], part[0]
                break


def _shows_class(sample: Sample) -> bool:
    """Whether a pixel is not ignored; what cannot be read is left to the check."""
    try:
        return bool((sample.read_mask() != IGNORE).any())
    except EasysegError:
        return True


def _count(samples: Sequence[Sample]) -> int:
    return max(1, round(FRACTION * len(samples)))


def _in_order(samples: Iterable[Sample]) -> list[Sample]:
    """By a hash of the image's name."""
    return sorted(samples, key=lambda s: hashlib.sha256(os.fsencode(s.image.stem)).digest())
