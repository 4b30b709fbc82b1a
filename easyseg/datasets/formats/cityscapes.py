"""Cityscapes: leftImg8bit and gtFine, label ids -> the 19 classes that are evaluated."""

from __future__ import annotations

from pathlib import Path

from easyseg.datasets.base import IGNORE, Dataset, Sample
from easyseg.datasets.formats.base import DATASETS, Format
from easyseg.datasets.mask_files import MaskEncoding, MaskFile
from easyseg.datasets.options import DatasetOptions
from easyseg.datasets.pairing import bare_stem, pair_files, split_of
from easyseg.datasets.splits import make_dataset
from easyseg.errors import DatasetError
from easyseg.results.label_set import load_label_set

# label ids of the 19 classes, in the order of the label set "cityscapes"
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
MASKS = {"_gtFine_labelTrainIds": range(19), "_gtFine_labelIds": LABEL_IDS}


def _find_root(root: Path) -> Path | None:
    """`root`, or the folder in it, that holds leftImg8bit and gtFine."""
    folders = (root, *root.glob("*/")) if root.is_dir() else ()
    return next(
        (f for f in folders if (f / "leftImg8bit").is_dir() and (f / "gtFine").is_dir()), None
    )


def _read(root: Path, options: DatasetOptions) -> Dataset:
    data_root = _find_root(root)
    masks = {suffix: sorted(data_root.glob(f"gtFine/*/**/*{suffix}.png")) if data_root else []
             for suffix in MASKS}  # fmt: skip
    suffix = max(masks, key=lambda s: len(masks[s]))
    if data_root is None or not masks[suffix]:
        raise DatasetError(
            f"{root} has no gtFine/*/*/*_gtFine_labelIds.png; unpack gtFine_trainvaltest.zip there."
        )
    images = sorted(data_root.glob("leftImg8bit/*/**/*_leftImg8bit.*"))
    pairs, unpaired, orphans = pair_files(
        images, masks[suffix], folder_of=lambda p: "/".join(p.relative_to(data_root).parts[1:-1])
    )
    if not pairs:
        raise DatasetError(f"{data_root} has no images for its masks; unpack leftImg8bit there.")
    ids = {value: i for i, value in enumerate(MASKS[suffix])}
    encoding = MaskEncoding("ids", {**dict.fromkeys(range(256), IGNORE), **ids})
    samples = []
    for image, mask in pairs:
        split = split_of(image.relative_to(data_root / "leftImg8bit").parts[0])
        name = bare_stem(image.stem)
        reader = MaskFile(mask, image, encoding, options.max_pixels)
        samples.append((split, Sample(name, image, mask, reader)))
    notes = [f"Label ids of *{suffix}.png are the 19 classes; others are ignored."]
    test = [sample for split, sample in samples if split == "test"]
    if test and (test[0].read_mask() == IGNORE).all():
        samples = [(split, sample) for split, sample in samples if split != "test"]
        notes.append(f"The test split ({len(test)}) has no published ground truth and is left out.")
    return make_dataset(
        root.name,
        load_label_set("cityscapes"),
        samples,
        notes=notes,
        images_without_mask=unpaired,
        masks_without_image=orphans,
    )


DATASETS.register("cityscapes")(Format(lambda root: _find_root(root) is not None, _read))
