"""Images in one folder and masks in another, in all the spellings that people have."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from easyseg.datasets.base import Dataset, Sample
from easyseg.datasets.class_names import Class, find_names, make_label_set
from easyseg.datasets.formats.base import DATASETS, Asked, Format
from easyseg.datasets.mask_encoding import Classes, infer_encoding
from easyseg.datasets.mask_files import MaskFile
from easyseg.datasets.pairing import Pairs, find_pairs
from easyseg.datasets.remap import select
from easyseg.datasets.splits import arrange
from easyseg.errors import DatasetError
from easyseg.utils.registry import unknown_name

__all__ = ["dataset_of_pairs", "read_pairs"]


def _recognise(root: Path) -> bool:
    return root.is_dir() and bool(find_pairs(root).pairs)


def _read(root: Path, asked: Asked) -> Dataset:
    table, file = find_names(root)
    notes = [f"Class names are from {file}."] if file else []
    return read_pairs(root, find_pairs(root), "paired", asked, table, notes)


def read_pairs(
    root: Path,
    found: Pairs,
    kind: str,
    asked: Asked,
    table: Sequence[Class],
    notes: Sequence[str],
) -> Dataset:
    """The data set of images and mask images, with the classes that were asked for.

    Args:
        root: Its folder.
        found: The pairs.
        kind: The format's name.
        asked: What the user said about the classes.
        table: The classes, as far as files name them.
        notes: What was assumed before.

    Raises:
        DatasetError: There are no pairs, or the masks cannot be understood.
        UnknownNameError: A class that the files do not name.
    """
    if asked.label_set:
        names, colors = asked.label_set.names, asked.label_set.palette
        table = [Class(n, c) for n, c in zip(names, colors, strict=True)]
    elif asked.names and not (table and set(asked.names) <= {c.name for c in table}):
        table = _renamed(table, asked.names)
    elif table:
        return select(dataset_of_pairs(root, found, kind, table, notes=notes), asked)
    values = [i for i in asked.ignore if isinstance(i, int)]
    dataset = dataset_of_pairs(root, found, kind, table, values, notes=notes)
    return select(dataset, Asked(ignore=tuple(i for i in asked.ignore if isinstance(i, str))))


def _renamed(table: Sequence[Class], names: Sequence[str]) -> list[Class]:
    """The classes under the names that were asked for."""
    if not table:
        return [Class(name) for name in names]
    if len(table) == len(names):
        return [dataclasses.replace(c, name=n) for c, n in zip(table, names, strict=True)]
    strange = next(n for n in names if n not in {c.name for c in table})
    raise unknown_name("class of the data set", strange, [c.name for c in table])


def dataset_of_pairs(
    root: Path,
    found: Pairs,
    kind: str,
    table: Sequence[Class],
    ignore: Sequence[int] = (),
    *,
    notes: Sequence[str] = (),
) -> Dataset:
    """The data set of images and mask images.

    Args:
        root: Its folder.
        found: The pairs.
        kind: The format's name.
        table: The classes, as far as they are known.
        ignore: Values of the masks that do not count.
        notes: What was assumed before.

    Raises:
        DatasetError: There are no pairs, or the masks cannot be understood.
    """
    if not found.pairs:
        raise DatasetError(
            f"{root} has {len(found.images)} images and {len(found.masks)} masks, but none of the "
            "same name; name a mask as its image (a.jpg, a.png or a_mask.png)."
        )
    classes: Classes = infer_encoding([m for *_, m in found.pairs], table, ignore=ignore)
    rows = [
        (split, Sample(name, image, mask, MaskFile(mask, image, classes.coding)))
        for split, name, image, mask in found.pairs
    ]
    splits, divided = arrange(rows)
    return Dataset(
        name=root.name,
        format=kind,
        label_set=make_label_set(root.name, classes.names, classes.colors),
        splits=splits,
        notes=(*notes, *classes.notes, *divided),
        unlabelled=tuple(found.images),
        orphans=tuple(found.masks),
    )


DATASETS.register("paired")(Format(_recognise, _read, applies=True))
