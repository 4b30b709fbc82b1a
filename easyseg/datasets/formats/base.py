"""The table of formats: each row recognises its files and reads them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from easyseg.datasets.base import Dataset
from easyseg.results.label_set import LabelSet
from easyseg.utils.registry import Registry

__all__ = ["DATASETS", "Asked", "Format"]


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the user said about the classes.

    Args:
        names: The classes in order; empty if nothing was said.
        label_set: The label set that was given, for its colors.
        ignore: Classes, by name or id, whose pixels do not count.
    """

    names: tuple[str, ...] = ()
    label_set: LabelSet | None = None
    ignore: tuple[str | int, ...] = ()


class Format(NamedTuple):
    """How the files of a data set lie.

    Attributes:
        recognise: Whether the folder (or file) is in this format; looks at names and the first
            bytes, never at all files.
        read: Gives the data set.
        applies: Whether `read` itself does what was asked about the classes. Formats whose files
            name the classes leave it to `open_dataset`.
    """

    recognise: Callable[[Path], bool]
    read: Callable[[Path, Asked], Dataset]
    applies: bool = False


# in the order in which they are asked whether the files are theirs
DATASETS: Registry[Format] = Registry(
    "data set format",
    modules={
        "coco": "easyseg.datasets.formats.coco",
        "yolo": "easyseg.datasets.formats.yolo",
        "labelme": "easyseg.datasets.formats.labelme",
        "voc": "easyseg.datasets.formats.voc",
        "cityscapes": "easyseg.datasets.formats.cityscapes",
        "ade20k": "easyseg.datasets.formats.ade20k",
        "camvid": "easyseg.datasets.formats.camvid",
        "paired": "easyseg.datasets.formats.image_mask_folders",
    },
)
