"""CamVid as SegNet's authors publish it: `train`, `trainannot`, ..., eleven classes and void."""

from __future__ import annotations

import re
from pathlib import Path

from easyseg.datasets.base import Dataset
from easyseg.datasets.class_names import Class, find_classes
from easyseg.datasets.formats.base import DATASETS, Format
from easyseg.datasets.formats.image_mask_folders import dataset_of_pairs
from easyseg.datasets.options import DatasetOptions
from easyseg.datasets.pairing import find_pairs
from easyseg.datasets.split_lists import listed_pairs

CLASSES = (
    Class("sky", (128, 128, 128)),
    Class("building", (128, 0, 0)),
    Class("pole", (192, 192, 128)),
    Class("road", (128, 64, 128)),
    Class("pavement", (60, 40, 222)),
    Class("tree", (128, 128, 0)),
    Class("signsymbol", (192, 128, 128)),
    Class("fence", (64, 64, 128)),
    Class("car", (64, 0, 128)),
    Class("pedestrian", (64, 64, 0)),
    Class("bicyclist", (0, 128, 192)),
    Class("void", (0, 0, 0)),
)
STEM = re.compile(r"(0001TP|0006R0|0016E5|Seq05VD)_f?\d+")  # its four videos, and the frame


def _detect(root: Path) -> bool:
    """Its file names, and no file of names: the other CamVid has 32 classes in colors."""
    if not root.is_dir() or find_classes(root)[0]:
        return False
    pairs = find_pairs(root).pairs
    return bool(pairs) and all(STEM.match(image.stem) for _, _, image, _ in pairs)


def _read(root: Path, options: DatasetOptions) -> Dataset:
    note = "Files are named as CamVid's: ids 0 to 10 are its classes, 11 is ignored."
    return dataset_of_pairs(
        root, listed_pairs(root), CLASSES, notes=[note], max_pixels=options.max_pixels
    )


DATASETS.register("camvid")(Format(_detect, _read))
