"""Some of a data set's classes: those that were asked for, without those to be ignored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from easyseg.datasets.base import IGNORE, Dataset, Sample
from easyseg.datasets.class_names import BACKGROUND, make_label_set
from easyseg.datasets.formats.base import Asked

__all__ = ["select"]


@dataclasses.dataclass(frozen=True)
class _Renumbered:
    """A truth whose ids go through a table. It is a `Sample.mask_reader`."""

    mask_reader: Callable[[tuple[int, int]], np.ndarray]
    table: tuple[int, ...]  # 256 entries

    def __call__(self, size: tuple[int, int]) -> np.ndarray:
        """`(H, W) uint8` class ids for an image of `(height, width)` pixels."""
        return np.array(self.table, np.uint8)[self.mask_reader(size)]


def select(dataset: Dataset, asked: Asked) -> Dataset:
    """The data set with the classes that were asked for, in that order.

    Pixels of classes in `ignore` become `IGNORE`. Pixels of classes that were not asked for
    become background if there is such a class, else `IGNORE`.

    Raises:
        UnknownNameError: A class that the data set has not.
    """
    label_set = dataset.label_set
    ignored = label_set.ids_of(asked.ignore)
    wanted = asked.names or label_set.names
    if not ignored and wanted == label_set.names:
        return dataset
    kept = [i for i in label_set.ids_of(wanted) if i not in ignored]
    others = IGNORE
    if label_set.names[0].casefold() == BACKGROUND and 0 not in ignored:
        kept = [0, *(i for i in kept if i != 0)]
        others = 0
    table = [others if i < len(label_set) else IGNORE for i in range(256)]
    for i in ignored:
        table[i] = IGNORE
    for new, old in enumerate(kept):
        table[old] = new
    notes = []
    dropped = [label_set.names[i] for i in range(len(label_set)) if i not in (*kept, *ignored)]
    if dropped:
        where = "count as background" if others == 0 else "do not count"
        notes.append(f"{len(dropped)} classes that were not asked for {where}.")
    return dataclasses.replace(
        dataset,
        label_set=make_label_set(
            label_set.name,
            [label_set.names[i] for i in kept],
            [label_set.palette[i] for i in kept],
        ),
        splits={
            name: [_renumber(sample, tuple(table)) for sample in samples]
            for name, samples in dataset.splits.items()
        },
        notes=(*dataset.notes, *notes),
    )


def _renumber(sample: Sample, table: tuple[int, ...]) -> Sample:
    return dataclasses.replace(sample, mask_reader=_Renumbered(sample.mask_reader, table))
