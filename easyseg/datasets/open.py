"""`open_dataset`: a folder in any known format -> `Dataset`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

from easyseg.datasets.base import Dataset
from easyseg.datasets.formats.base import DATASETS
from easyseg.datasets.options import DatasetOptions
from easyseg.datasets.pairing import image_folders
from easyseg.datasets.remap import keep_classes
from easyseg.errors import DatasetError, InputError
from easyseg.results.label_set import LabelSet

__all__ = ["open_dataset", "open_with_options"]

LAST = "folders"  # matches any folders of images: formats of other packages are tried before


def open_dataset(
    source: str | os.PathLike[str] | Dataset,
    *,
    format: str | None = None,  # noqa: A002  (the word that users look for)
    classes: Iterable[str] | LabelSet | None = None,
    ignore: Iterable[str | int] = (),
) -> Dataset:
    """Opens a data set; its format is detected.

    Args:
        source: Its folder; for COCO also the JSON file, for YOLO the `data.yaml`. A `Dataset` is
            taken as it is.
        format: Name in the table of formats ("coco", "voc", ...), instead of detecting it.
        classes: Where the files name the classes, those to keep, in this order: the others
            become background, or are ignored where there is no background. For masks whose
            classes have no names, the names of their values in order.
        ignore: Classes, by name or id, whose pixels are ignored.

    Raises:
        DatasetError: There is nothing at `source`, or nothing in a known format.
        UnknownNameError: `format` or a class is not known.
        InputError: An option or `source` has the wrong type.
    """
    return open_with_options(source, DatasetOptions(format, classes, ignore))


def open_with_options(source: str | os.PathLike[str] | Dataset, options: DatasetOptions) -> Dataset:
    """`open_dataset` with its options in one object.

    The data set records where and how it was opened, unless `source` is a `Dataset` from which
    classes are taken.
    """
    if isinstance(source, Dataset):
        dataset = keep_classes(source, options)
        return dataset if dataset is source else dataclasses.replace(dataset, source=None)
    if not isinstance(source, str | os.PathLike):
        raise InputError(
            f"expected a data set's folder or file, or a Dataset, got {type(source).__name__}."
        )
    root = Path(source)
    if not root.exists():
        raise DatasetError(
            f"{root} does not exist; check the path (the working folder is {Path.cwd()})."
        )
    root = root.resolve() if not root.name else root  # "." has no name
    name = options.format or _detect(root)
    entry = DATASETS[name]
    dataset = entry.read(root, options)
    if not entry.uses_options:
        dataset = keep_classes(dataset, options)
    return dataclasses.replace(dataset, format=name, source=root, options=options)


def _detect(root: Path) -> str:
    """The name of the first format that matches."""
    names = [name for name in DATASETS if name != LAST]
    for name in [*names, LAST]:
        if DATASETS[name].detect(root):
            return name
    known = ", ".join(DATASETS)
    if root.is_file():
        raise DatasetError(
            f"{root} is not a data set in a known format ({known}); give the folder it is in."
        )
    count = sum(map(len, image_folders(root).values()))
    if not count:
        raise DatasetError(f"{root} holds no images; give the folder of a data set.")
    raise DatasetError(
        f"{root} holds {count} images, but no masks or annotations for them; put them into "
        f"images/ and masks/ under the same names, or name the format ({known})."
    )
