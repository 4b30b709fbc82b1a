"""Pascal VOC's tree, as VOC, CVAT and labelme export it: JPEGImages, SegmentationClass, lists."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from easyseg.datasets.base import SPLITS, Dataset
from easyseg.datasets.class_names import Class, find_classes, read_lines
from easyseg.datasets.formats.base import DATASETS, Format
from easyseg.datasets.formats.image_mask_folders import read_pairs
from easyseg.datasets.options import DatasetOptions
from easyseg.datasets.pairing import Pairs, image_folders, pair_files
from easyseg.errors import DatasetError
from easyseg.results.label_set import load_label_set

MASKS = ("SegmentationClassAug", "SegmentationClassPNG", "SegmentationClass")
STEM = re.compile(r"\d{6}|\d{4}_\d{6}")  # VOC2007 and later years


def _find_folders(root: Path) -> tuple[Path, Path] | None:
    """The folder that holds the tree (`VOCdevkit/VOC2012`), and the folder of masks."""
    for data_root in (root, *root.glob("*/"), *root.glob("*/*/")) if root.is_dir() else ():
        for name in MASKS:
            if (data_root / "JPEGImages").is_dir() and (data_root / name).is_dir():
                return data_root, data_root / name
    return None


def _read(root: Path, options: DatasetOptions) -> Dataset:
    folders = _find_folders(root)
    if folders is None:
        raise DatasetError(
            f"{root} has no JPEGImages and SegmentationClass; give the folder that holds both."
        )
    data_root, mask_folder = folders
    images = {
        p.stem: p for paths in image_folders(data_root / "JPEGImages").values() for p in paths
    }
    masks = {p.stem: p for paths in image_folders(mask_folder).values() for p in paths}
    pairs, notes = _pairs(data_root, images, masks)
    classes, file = find_classes(data_root)
    if file:
        notes.append(f"Class names are from {file}.")
    if classes or not all(STEM.fullmatch(name) for _, name, *_ in pairs.pairs):
        return read_pairs(root, pairs, options, classes, notes)
    voc = load_label_set("voc")
    classes = [Class(n, c) for n, c in zip(voc.names, voc.palette, strict=True)]
    notes.append("Files are named as Pascal VOC's: its 21 classes.")
    dataset = read_pairs(root, pairs, options, classes, notes)
    same = dataset.label_set.names == voc.names
    return dataclasses.replace(dataset, label_set=voc) if same else dataset


def _pairs(
    data_root: Path, images: dict[str, Path], masks: dict[str, Path]
) -> tuple[Pairs, list[str]]:
    """The pairs listed in ImageSets/Segmentation; all pairs if there are no lists."""
    lists = {p.stem: read_lines(p) for p in (data_root / "ImageSets/Segmentation").glob("*.txt")}
    lists = {name: stems for name, stems in lists.items() if stems}
    by_split = {name: lists[name] for name in SPLITS if name in lists}
    if "train" not in by_split and "trainval" in lists:
        val = by_split.get("val", ())
        by_split["train"] = [stem for stem in lists["trainval"] if stem not in val]
    if not by_split:
        by_split = {"": next(iter(lists.values()))} if lists else {}
    if not by_split:
        paired, unpaired, orphans = pair_files(images.values(), masks.values())
        return Pairs([("", p.stem, p, m) for p, m in paired], unpaired, orphans), []
    result = Pairs([], [], [])
    missing = []
    for split, lines in by_split.items():
        for line in dict.fromkeys(lines):
            stem = Path(line.split()[0]).stem
            if stem in images and stem in masks:
                result.pairs.append((split, stem, images[stem], masks[stem]))
            elif stem in images:
                result.images.append(images[stem])
            else:
                missing.append(stem)
    notes = (
        [f"{len(missing)} listed images are missing, the first: {missing[0]}."] if missing else []
    )
    return result, notes


DATASETS.register("voc")(
    Format(lambda root: _find_folders(root) is not None, _read, uses_options=True)
)
