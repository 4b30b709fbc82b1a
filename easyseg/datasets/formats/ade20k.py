"""ADE20K for scene parsing (ADEChallengeData2016): ids 1 to 150, 0 is ignored."""

from __future__ import annotations

import re
from pathlib import Path

from easyseg.datasets.base import IGNORE, Dataset, Sample
from easyseg.datasets.formats.base import DATASETS, Format
from easyseg.datasets.mask_files import MaskEncoding, MaskFile
from easyseg.datasets.options import DatasetOptions
from easyseg.datasets.pairing import find_pairs
from easyseg.datasets.split_lists import listed_pairs
from easyseg.datasets.splits import make_dataset
from easyseg.errors import DatasetError
from easyseg.results.label_set import load_label_set

STEM = re.compile(r"ADE_(train|val|frame)_\d{8}")
ENCODING = MaskEncoding("ids", {0: IGNORE, **{i: i for i in range(1, 151)}})


def _detect(root: Path) -> bool:
    pairs = find_pairs(root).pairs if root.is_dir() else []
    return bool(pairs) and all(STEM.match(image.stem) for _, _, image, _ in pairs)


def _read(root: Path, options: DatasetOptions) -> Dataset:
    pairs = listed_pairs(root)
    if not pairs.pairs:
        raise DatasetError(
            f"{root} has no images in images/training with masks in annotations/training; "
            "give the folder that holds both."
        )
    return make_dataset(
        root.name,
        load_label_set("ade20k"),
        (
            (split, Sample(name, image, mask, reader))
            for split, name, image, mask in pairs.pairs
            for reader in [MaskFile(mask, image, ENCODING, options.max_pixels)]
        ),
        notes=[
            "Files are named as ADE20K's: ids 1 to 150 are its classes, 0 is ignored.",
            *pairs.notes,
        ],
        images_without_mask=pairs.images,
        masks_without_image=pairs.masks,
    )


DATASETS.register("ade20k")(Format(_detect, _read))
