"""Some of a data set's classes: those to keep, without those to ignore."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from easyseg.datasets.base import IGNORE, Dataset, Sample
from easyseg.datasets.class_names import BACKGROUND, make_label_set
from easyseg.datasets.options import DatasetOptions


@dataclasses.dataclass(frozen=True)
class _RemappedMask:
    """A mask whose ids go through a table. It is a `Sample.mask_reader`."""

    mask_reader: Callable[[tuple[int, int]], np.ndarray]
    table: tuple[int, ...]  # new id by old id, 256 entries

    def __call__(self, size: tuple[int, int]) -> np.ndarray:
        """`(H, W) uint8` class ids for an image of `(height, width)` pixels."""
        return np.array(self.table, np.uint8)[self.mask_reader(size)]


def keep_classes(dataset: Dataset, options: DatasetOptions) -> Dataset:
    """The data set with the classes of the options, in that order.

    Pixels of classes in `options.ignore` become `IGNORE`. Pixels of classes that are not kept
    become background if there is such a class, else `IGNORE`.

    Raises:
        UnknownNameError: A class that the data set does not have.
    """
    label_set = dataset.label_set
    ignored = label_set.ids_of(options.ignore)
    names = options.names or label_set.names
    if not ignored and names == label_set.names:
        return dataset
    ids = [i for i in label_set.ids_of(names) if i not in ignored]
    others = IGNORE
    if label_set.names[0].casefold() == BACKGROUND and 0 not in ignored:
        ids = [0, *(i for i in ids if i != 0)]
        others = 0
    table = [others if i < len(label_set) else IGNORE for i in range(256)]
    for old in ignored:
        table[old] = IGNORE
    for new, old in enumerate(ids):
        table[old] = new
    dropped = len(label_set) - len({*ids, *ignored})
    outcome = "are background" if others == 0 else "are ignored"
    return dataclasses.replace(
        dataset,
        label_set=make_label_set(
            label_set.name,
            [label_set.names[i] for i in ids],
            [label_set.palette[i] for i in ids],
        ),
        splits={
            name: [_remap(sample, tuple(table)) for sample in samples]
            for name, samples in dataset.splits.items()
        },
        notes=(
            *dataset.notes,
            *[f"{dropped} classes that are not kept {outcome}."] * bool(dropped),
        ),
    )


def _remap(sample: Sample, table: tuple[int, ...]) -> Sample:
    return dataclasses.replace(sample, mask_reader=_RemappedMask(sample.mask_reader, table))
