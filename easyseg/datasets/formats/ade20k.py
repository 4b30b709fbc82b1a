"""ADE20K for scene parsing (ADEChallengeData2016): ids 1 to 150, of which 0 does not count."""

from __future__ import annotations

import re
from pathlib import Path

from easyseg.datasets.base import IGNORE, Dataset, Sample
from easyseg.datasets.formats.base import DATASETS, Asked, Format
from easyseg.datasets.mask_files import MaskEncoding, MaskFile
from easyseg.datasets.pairing import find_pairs
from easyseg.datasets.splits import arrange
from easyseg.errors import DatasetError
from easyseg.results.label_set import load_label_set

__all__: list[str] = []

STEM = re.compile(r"ADE_(train|val|frame)_\d{8}")
CODING = MaskEncoding("ids", {0: IGNORE, **{i: i for i in range(1, 151)}})


def _recognise(root: Path) -> bool:
    pairs = find_pairs(root).pairs if root.is_dir() else []
    return bool(pairs) and all(STEM.match(image.stem) for _, _, image, _ in pairs)


def _read(root: Path, _: Asked) -> Dataset:
    found = find_pairs(root)
    if not found.pairs:
        raise DatasetError(f"{root} has no images/training and annotations/training; check it.")
    splits, divided = arrange(
        (split, Sample(name, image, mask, MaskFile(mask, image, CODING)))
        for split, name, image, mask in found.pairs
    )
    note = "Files are named as ADE20K's: ids 1 to 150 are its classes, 0 does not count."
    return Dataset(
        name=root.name,
        format="ade20k",
        label_set=load_label_set("ade20k"),
        splits=splits,
        notes=(note, *divided),
        unlabelled=tuple(found.images),
        orphans=tuple(found.masks),
    )


DATASETS.register("ade20k")(Format(_recognise, _read))
