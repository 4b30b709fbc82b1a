"""Which samples of a data set go on its contact sheet."""

from __future__ import annotations

import numpy as np

from easyseg.datasets.base import IGNORE, Dataset, Sample
from easyseg.errors import DatasetError, EasysegError
from easyseg.results.contact_sheet import Overlay, overlay_sheet


def dataset_sheet(dataset: Dataset, *, count: int = 12) -> np.ndarray:
    """`(H, W, 3) uint8 RGB`: samples of all splits with their masks laid over them.

    Samples that cannot be read are left out: a check reports them.

    Raises:
        DatasetError: No sample can be read.
    """
    overlays = []
    for split, sample in _spread(dataset, count):
        try:
            image = sample.read_image()
            mask = sample.read_mask(image.shape[:2])
        except EasysegError:
            continue
        overlays.append(Overlay(f"{split}: {sample.name}", image, mask))
    if not overlays:
        raise DatasetError(
            f"data set {dataset.name!r} has no sample that can be read; check its files."
        )
    return overlay_sheet(overlays, dataset.label_set, ignore_index=IGNORE)


def _spread(dataset: Dataset, count: int) -> list[tuple[str, Sample]]:
    """Two samples of each split, and more of the largest one, evenly spread."""
    sizes = {split: len(samples) for split, samples in dataset.splits.items()}
    counts = {split: min(2, size) for split, size in sizes.items()}
    if sizes:
        largest = max(sizes, key=lambda split: sizes[split])
        left = max(0, count - sum(counts.values()))
        counts[largest] = min(sizes[largest], counts[largest] + left)
    return [
        (split, dataset.splits[split][i])
        for split, number in counts.items()
        for i in np.linspace(0, sizes[split] - 1, number).round().astype(int).tolist()
    ]
