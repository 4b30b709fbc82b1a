"""Which samples are for training, for validation and for the test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from easyseg.datasets.base import Sample

__all__ = ["arrange", "divide"]

TENTH = 10


def arrange(
    rows: Iterable[tuple[str, Sample]],
) -> tuple[dict[str, list[Sample]], list[str]]:
    """Samples by split, where every sample has a split or none ("").

    Samples without a split are divided 80/10/10. If there is training data and nothing to
    validate on, a tenth of it is set aside.

    Returns:
        Samples of each split, and notes on what was divided.
    """
    splits: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    loose: list[Sample] = []
    notes: list[str] = []
    for split, sample in rows:
        (splits[split] if split else loose).append(sample)
    if loose and not any(splits.values()):
        splits = divide(loose)
        notes.append(
            "The files name no splits: they are divided 80/10/10 into "
            + ", ".join(f"{name} ({len(found)})" for name, found in splits.items())
            + ", by a hash of their names, the same every time."
        )
    elif loose:
        splits["train"] += loose
        notes.append(f"{len(loose)} samples without a split are taken for training.")
    if len(splits["train"]) > 1 and not splits["val"]:
        count = max(1, round(len(splits["train"]) / TENTH))
        in_order = sorted(splits["train"], key=_hash)
        aside = {sample.name for sample in in_order[:count]}
        splits["val"] = [s for s in splits["train"] if s.name in aside]
        splits["train"] = [s for s in splits["train"] if s.name not in aside]
        notes.append(
            f"There is no validation split: {count} of the training samples are set aside for it, "
            "by a hash of their names."
        )
    return {name: found for name, found in splits.items() if found}, notes


def divide(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """80 % for training, 10 % for validation, 10 % for the test, by a hash of the names.

    The order of the files does not matter. From two samples on one is for validation, from five
    on one for the test.
    """
    in_order = sorted(samples, key=_hash)
    count = max(1, round(len(samples) / TENTH))
    val = count if len(samples) >= 2 else 0
    test = count if len(samples) >= 5 else 0
    parts = {
        "train": in_order[val + test :],
        "val": in_order[:val],
        "test": in_order[val : val + test],
    }
    return {name: sorted(found, key=lambda s: s.name) for name, found in parts.items()}


def _hash(sample: Sample) -> bytes:
    return hashlib.sha256(sample.image.stem.encode()).digest()
