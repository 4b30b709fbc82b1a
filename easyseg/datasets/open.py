"""`open_dataset`: a folder as people have it -> `Dataset`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from easyseg.datasets.base import Dataset
from easyseg.datasets.formats.base import DATASETS, Asked, Format
from easyseg.datasets.pairing import image_folders
from easyseg.datasets.remap import select
from easyseg.errors import DatasetError, InputError
from easyseg.results.label_set import LabelSet

__all__ = ["Reading", "open_dataset"]

LAST = "paired"  # any folders of images will do for it: formats of other packages come first


@dataclasses.dataclass(frozen=True)
class Reading:
    """What `open_dataset` takes beside the source, to be passed on and written down."""

    format: str | None = None
    classes: Iterable[str] | LabelSet | None = None
    ignore: Iterable[str | int] = ()

    def __post_init__(self) -> None:
        for name in ("classes", "ignore"):  # which may be generators
            value = getattr(self, name)
            if value is not None and not isinstance(value, (str, int, LabelSet)):
                object.__setattr__(self, name, tuple(value))

    def open(self, source: str | os.PathLike[str] | Dataset) -> Dataset:
        """The data set; raises what `open_dataset` raises."""
        return open_dataset(source, format=self.format, classes=self.classes, ignore=self.ignore)

    def to_dict(self) -> dict[str, Any]:
        """Plain values of what was chosen; `Reading(**values)` is the same without colors."""
        names = self.classes.names if isinstance(self.classes, LabelSet) else self.classes
        ignore = (self.ignore,) if isinstance(self.ignore, (str, int)) else self.ignore
        chosen = {
            "format": self.format,
            "classes": list(names or ()),
            "ignore": list(ignore),
        }
        return {name: value for name, value in chosen.items() if value}


def open_dataset(
    source: str | os.PathLike[str] | Dataset,
    *,
    format: str | None = None,  # noqa: A002  (the word that users look for)
    classes: Iterable[str] | LabelSet | None = None,
    ignore: Iterable[str | int] = (),
) -> Dataset:
    """Opens a data set, whose format recognises itself.

    Args:
        source: Its folder; of COCO the JSON file, of YOLO the `data.yaml` will do. A `Dataset`
            is taken as it is.
        format: A row of the format table, if the format shall not be guessed.
        classes: Where the files name the classes, those to keep, in this order: the others
            become background, or are ignored where there is none. For masks whose classes have
            no names, the names of their values in order.
        ignore: Classes, by name or id, whose pixels do not count.

    Raises:
        DatasetError: There is nothing at `source`, or nothing that can be understood.
        UnknownNameError: `format` or a class is not known.
        InputError: `classes` is no list, or `source` nothing of the above.
    """
    if isinstance(classes, (str, int)):
        raise InputError(
            f"classes={classes!r} must be names of classes in a list, such as ['road', 'car']."
        )
    label_set = classes if isinstance(classes, LabelSet) else None
    asked = Asked(
        names=tuple(classes.names if isinstance(classes, LabelSet) else classes or ()),
        label_set=label_set,
        ignore=(ignore,) if isinstance(ignore, (str, int)) else tuple(ignore),
    )
    if isinstance(source, Dataset):
        return select(source, asked)
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(
            f"a {type(source).__name__} is no data set; give its folder or file, or a Dataset."
        )
    root = Path(source)
    if not root.exists():
        raise DatasetError(f"{root} does not exist; check the path (working folder {Path.cwd()}).")
    root = root.resolve() if not root.name else root  # "." has no name
    row = DATASETS[format] if format else _recognise(root)
    dataset = row.read(root, asked)
    return dataset if row.applies else select(dataset, asked)


def _recognise(root: Path) -> Format:
    for name in sorted(DATASETS, key=LAST.__eq__):
        if DATASETS[name].recognise(root):
            return DATASETS[name]
    known = ", ".join(DATASETS)
    if root.is_file():
        raise DatasetError(
            f"{root} is no data set that is known ({known}); give the folder that it lies in."
        )
    folders = image_folders(root)
    count = sum(map(len, folders.values()))
    if not count:
        raise DatasetError(f"{root} holds no images; give the folder of a data set.")
    raise DatasetError(
        f"{root} holds {count} images, but no masks or annotations for them were found; "
        f"put them into images/ and masks/ under the same names, or name the format ({known})."
    )
