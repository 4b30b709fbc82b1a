"""The table of data set formats: each detects its files and reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from easyseg.datasets.base import Dataset
from easyseg.datasets.options import DatasetOptions
from easyseg.errors import DatasetError
from easyseg.utils.registry import Registry


class UnrelatedFilesError(DatasetError):
    """The annotation files are of this format, but none of the images that they name exists.

    Other formats are tried then, since the files may belong to another data set.
    """


class Format(NamedTuple):
    """How the files of a data set are laid out.

    Attributes:
        detect: Whether the folder (or file) is in this format; looks at names and the first
            bytes, never at all files. Where the format matches in part, it may raise a DatasetError
            that names what is missing; it is raised if no other format matches.
        read: Returns the data set.
        uses_options: Whether `read` applies the options' `classes` and `ignore` itself. Formats
            whose files name the classes leave it to `open_dataset`.
    """

    detect: Callable[[Path], bool]
    read: Callable[[Path, DatasetOptions], Dataset]
    uses_options: bool = False


# in the order in which they are tried
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
        "folders": "easyseg.datasets.formats.image_mask_folders",
    },
)
