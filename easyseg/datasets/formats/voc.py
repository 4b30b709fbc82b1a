"""Pascal VOC's tree, as VOC, CVAT and labelme export it: JPEGImages, SegmentationClass, lists."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

from easyseg.datasets.base import Dataset
from easyseg.datasets.class_names import Class, find_classes
from easyseg.datasets.formats.base import DATASETS, Format
from easyseg.datasets.formats.image_mask_folders import read_pairs
from easyseg.datasets.lookup import Lookup, fold, image_folders
from easyseg.datasets.options import DatasetOptions
from easyseg.datasets.pairing import Pairs, pair_files
from easyseg.datasets.split_lists import find_lists, read_lists
from easyseg.errors import DatasetError
from easyseg.results.label_set import load_label_set

MASKS = ("SegmentationClassAug", "SegmentationClassPNG", "SegmentationClass")
STEM = re.compile(r"\d{6}|\d{4}_\d{6}")  # VOC2007 and later years


def _trees(root: Path) -> dict[Path, Path]:
    """The folders that hold a tree (`VOCdevkit/VOC2012`), and their folders of masks."""
    below = (root, *root.glob("*/"), *root.glob("*/*/")) if root.is_dir() else ()
    trees = {
        folder: folder / name
        for folder in sorted(below)
        for name in reversed(MASKS)
        if (folder / "JPEGImages").is_dir() and (folder / name).is_dir()
    }
    return {root: trees[root]} if root in trees else trees


def _read(root: Path, options: DatasetOptions) -> Dataset:
    trees = _trees(root)
    if not trees:
        raise DatasetError(
            f"{root} has no JPEGImages and SegmentationClass; give the folder that holds both."
        )
    if len(trees) > 1:
        one, two, *_ = trees
        raise DatasetError(f"{root} holds several data sets, such as {one} and {two}; open one.")
    [(data_root, mask_folder)] = trees.items()
    pairs = _pairs(data_root, mask_folder)
    notes = []
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


def _pairs(data_root: Path, mask_folder: Path) -> Pairs:
    """The pairs listed in ImageSets/Segmentation; all pairs if there are no lists."""
    image_folder = data_root / "JPEGImages"
    images, masks = _with_folders(image_folder), _with_folders(mask_folder)
    folders = images | masks
    paired, unpaired, orphans = pair_files(images, masks, folder_of=folders.__getitem__)
    mask_of = dict(paired)
    lists = find_lists(data_root / "ImageSets/Segmentation", any_name=True) or find_lists(data_root)
    lists = {split: files for split, files in lists.items() if split} or lists
    listed = read_lists(
        lists, Lookup(data_root, images), Lookup(data_root, masks), folders=(image_folder,)
    )
    if not listed.splits:
        pairs = [("", _name(image, folders), image, mask) for image, mask in paired]
        return Pairs(pairs, unpaired, orphans)
    result: list[tuple[str, str, Path, Path]] = []
    without: list[Path] = []
    for split, part in listed.splits.items():
        for image, listed_mask in part.items():
            mask = listed_mask or mask_of.get(image)
            if mask:
                result.append((split, _name(image, folders), image, mask))
            else:
                without.append(image)
    return Pairs(result, without, [], tuple(listed.notes))


def _with_folders(root: Path) -> dict[Path, str]:
    """The images below a folder, with theirs from there on."""
    return {
        path: name
        for folder, paths in image_folders(root).items()
        for name in [fold("/".join(folder.relative_to(root).parts))]
        for path in paths
    }


def _name(image: Path, folders: Mapping[Path, str]) -> str:
    folder = folders.get(image)  # `None` of images elsewhere, which a list may name
    return f"{folder}/{image.stem}" if folder else image.stem


DATASETS.register("voc")(Format(lambda root: bool(_trees(root)), _read, uses_options=True))
