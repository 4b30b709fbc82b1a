"""Pascal VOC's tree, as VOC, CVAT and labelme export it: JPEGImages, SegmentationClass, lists."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from easyseg.datasets.base import SPLITS, Dataset
from easyseg.datasets.class_names import Class, find_names, read_lines
from easyseg.datasets.formats.base import DATASETS, Asked, Format
from easyseg.datasets.formats.image_mask_folders import read_pairs
from easyseg.datasets.pairing import Pairs, image_folders, pair
from easyseg.errors import DatasetError
from easyseg.results.label_set import load_label_set

__all__: list[str] = []

MASKS = ("SegmentationClassAug", "SegmentationClassPNG", "SegmentationClass")
STEM = re.compile(r"\d{6}|\d{4}_\d{6}")  # VOC2007 and later years


def _home(root: Path) -> tuple[Path, Path] | None:
    """The tree's own folder (`VOCdevkit/VOC2012`), and the folder of masks."""
    for home in (root, *root.glob("*/"), *root.glob("*/*/")) if root.is_dir() else ():
        for name in MASKS:
            if (home / "JPEGImages").is_dir() and (home / name).is_dir():
                return home, home / name
    return None


def _read(root: Path, asked: Asked) -> Dataset:
    places = _home(root)
    if places is None:
        raise DatasetError(f"{root} has no JPEGImages and SegmentationClass; check the folder.")
    home, folder = places
    images = {p.stem: p for found in image_folders(home / "JPEGImages").values() for p in found}
    masks = {p.stem: p for found in image_folders(folder).values() for p in found}
    found, notes = _pairs(home, images, masks)
    table, file = find_names(home)
    if file:
        notes.append(f"Class names are from {file}.")
    dataset_is_voc = not table and all(STEM.fullmatch(name) for _, name, *_ in found.pairs)
    if not dataset_is_voc:
        return read_pairs(root, found, "voc", asked, table, notes)
    voc = load_label_set("voc")
    table = [Class(n, c) for n, c in zip(voc.names, voc.palette, strict=True)]
    notes.append("Files are named as Pascal VOC's: its 21 classes.")
    dataset = read_pairs(root, found, "voc", asked, table, notes)
    same = dataset.label_set.names == voc.names
    return dataclasses.replace(dataset, label_set=voc) if same else dataset


def _pairs(home: Path, images: dict[str, Path], masks: dict[str, Path]) -> tuple[Pairs, list[str]]:
    """The pairs of the lists in ImageSets/Segmentation; all there are, if there are no lists."""
    lists = {p.stem: read_lines(p) for p in (home / "ImageSets/Segmentation").glob("*.txt")}
    lists = {name: stems for name, stems in lists.items() if stems}
    named = {name: lists[name] for name in SPLITS if name in lists}
    if "train" not in named and "trainval" in lists:
        rest = [s for s in lists["trainval"] if s not in named.get("val", ())]
        named["train"] = rest
    if not named:
        named = {"": next(iter(lists.values()))} if lists else {}
    notes: list[str] = []
    if not named:
        found, alone, orphans = pair(images.values(), masks.values())
        return Pairs([("", p.stem, p, m) for p, m in found], alone, orphans), notes
    result = Pairs([], [], [])
    missing = []
    for split, lines in named.items():
        for line in dict.fromkeys(lines):
            stem = Path(line.split()[0]).stem
            if stem in images and stem in masks:
                result.pairs.append((split, stem, images[stem], masks[stem]))
            elif stem in images:
                result.images.append(images[stem])
            else:
                missing.append(stem)
    if missing:
        notes.append(f"{len(missing)} listed images are missing, the first: {missing[0]}.")
    return result, notes


DATASETS.register("voc")(Format(lambda root: _home(root) is not None, _read, applies=True))
