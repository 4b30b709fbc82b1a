"""Which folders hold images and which hold masks, for which split, by their names."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from easyseg.datasets.base import SPLITS
from easyseg.errors import DatasetError
from easyseg.io.open_image import IMAGE_EXTENSIONS

__all__ = ["Pairs", "bare_stem", "find_pairs", "image_folders", "pair_files", "split_of"]

SPLIT_WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val",
               "validation": "val", "dev": "val", "test": "test", "testing": "test"}  # fmt: skip
MASK_WORDS = {"mask", "masks", "annot", "annots", "annotation", "annotations", "gt", "label",
              "labels", "groundtruth", "truth", "ground", "seg", "segmentation", "segmentations",
              "target", "targets", "segmaps"}  # fmt: skip
IMAGE_WORDS = {"image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "input",
               "inputs", "rgb", "frames", "jpegimages", "original", "originals"}  # fmt: skip
SKIPPED_WORDS = {"visualization", "visualisation", "overlay", "overlays", "preview"}
JOINED = re.compile(rf"({'|'.join(SPLIT_WORDS)})({'|'.join(MASK_WORDS | IMAGE_WORDS)})")
AFFIX = "image|img|photo|sat|rgb|mask|label|labels|gt|seg|segmentation|annotation|target|matte"
AFFIXES = re.compile(
    rf"^(?:{AFFIX})s?[_\- ]+(?=.)|"
    rf"(?<=.)[_\- ]+(?:{AFFIX}|L|leftImg8bit|(?:gtFine_)?label(?:Train)?Ids)$",
    re.IGNORECASE,
)
MASK_AFFIX = re.compile(
    r"^(?:mask|label|gt|seg)s?[_\- ]|[_\- ](?:mask|labels?|gt|seg|segmentation|L|matte)$"
)
MAX_DEPTH = 6  # folders below the data set's; links are followed, and may form circles


class Pairs(NamedTuple):
    """Images and masks that belong together, and those that are left over.

    Attributes:
        pairs: `(split or "", name, image, mask)`.
        images: Images without a mask.
        masks: Masks without an image.
    """

    pairs: list[tuple[str, str, Path, Path]]
    images: list[Path]
    masks: list[Path]


class FolderRole(NamedTuple):
    """What a folder's name says: split (or ""), whether it holds masks, and the other words."""

    split: str
    is_mask: bool
    rest: tuple[str, ...]


def image_folders(root: Path) -> dict[Path, list[Path]]:
    """Folders below `root` (and itself) that hold images, with the images, in order."""
    images_of = {}
    for path, folders, files in os.walk(root, followlinks=True):
        here = Path(path)
        too_deep = len(here.relative_to(root).parts) >= MAX_DEPTH
        folders[:] = [] if too_deep else sorted(f for f in folders if not f.startswith((".", "__")))
        images = sorted(
            f for f in files if f.lower().endswith(IMAGE_EXTENSIONS) and not f.startswith(".")
        )
        if images:
            images_of[here] = [here / name for name in images]
    return images_of


def split_of(name: str) -> str:
    """The split that a word of the name stands for: "train", "val" or "test"; else ""."""
    return next((SPLIT_WORDS[word] for word in _words(name) if word in SPLIT_WORDS), "")


def find_pairs(root: Path) -> Pairs:
    """Pairs images and masks of all folders below `root`.

    A folder's words say its split and whether it holds masks; folders whose other words are the
    same belong together, as `images/train` and `masks/train`, `Train_Images` and `Train_Masks`,
    `train` and `trainannot` do. A folder of images without a folder of masks may hold both:
    `x.jpg` and `x.png`, or `x.png` and `x_mask.png`.

    Raises:
        DatasetError: An image has two masks.
    """
    images: dict[tuple[str, tuple[str, ...]], list[Path]] = defaultdict(list)
    masks: dict[tuple[str, tuple[str, ...]], list[Path]] = defaultdict(list)
    for folder, files in image_folders(root).items():
        role = _role(folder.relative_to(root))
        if role is not None:
            (masks if role.is_mask else images)[role.split, role.rest] += files
    result = Pairs([], [], [])
    for split, rest in dict.fromkeys([*images, *masks]):
        image_files, mask_files = images[split, rest], masks[split, rest]
        if image_files and not mask_files:
            image_files, mask_files = _in_one_folder(image_files)
        paired, unpaired_images, unpaired_masks = pair_files(image_files, mask_files)
        result.pairs.extend(
            (split, "/".join([*rest, image.stem]), image, mask) for image, mask in paired
        )
        result.images.extend(unpaired_images)
        result.masks.extend(unpaired_masks)
    return Pairs(sorted(result.pairs, key=_order), result.images, result.masks)


def pair_files(
    images: Iterable[Path], masks: Iterable[Path]
) -> tuple[list[tuple[Path, Path]], list[Path], list[Path]]:
    """Pairs images and masks of the same name, up to a customary affix (`_mask`).

    Returns:
        Pairs, images without a mask, masks without an image.

    Raises:
        DatasetError: An image has two masks.
    """
    images = list(images)
    by_stem, by_bare_stem = defaultdict(list), defaultdict(list)
    for mask in masks:
        by_stem[mask.stem].append(mask)
        by_bare_stem[bare_stem(mask.stem)].append(mask)
    pairs, unpaired, used = [], [], set()
    for image in images:
        matches = by_stem.get(image.stem) or by_bare_stem.get(bare_stem(image.stem)) or []
        if len(matches) > 1:
            raise DatasetError(
                f"{image} has two masks, {matches[0]} and {matches[1]}; remove or rename one."
            )
        if matches:
            pairs.append((image, matches[0]))
            used.add(matches[0])
        else:
            unpaired.append(image)
    return pairs, unpaired, [m for group in by_stem.values() for m in group if m not in used]


def bare_stem(stem: str) -> str:
    """The stem without customary affixes: "12_mask" and "image_12" become "12"."""
    return AFFIXES.sub("", stem) or stem


def _role(relative: Path) -> FolderRole | None:
    split, is_mask, rest = "", False, []
    for part in relative.parts:
        words = _words(part)
        if SKIPPED_WORDS & set(words):
            return None
        for word in words:
            if word in SPLIT_WORDS:
                split = SPLIT_WORDS[word]
            elif word in MASK_WORDS:
                is_mask = True
            elif word not in IMAGE_WORDS:
                rest.append(word)
    return FolderRole(split, is_mask, tuple(rest))


def _words(name: str) -> list[str]:
    """The words "train", "masks" of "Train_Masks", "trainMasks" and "trainmasks"."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    words: list[str] = []
    for word in re.split(r"[\W_]+", spaced):
        if word.rstrip("0123456789") in SPLIT_WORDS:  # train2017
            word = word.rstrip("0123456789")  # noqa: PLW2901
        joined = JOINED.fullmatch(word)
        words += joined.groups() if joined else [word] if word else []
    return words


def _in_one_folder(images: list[Path]) -> tuple[list[Path], list[Path]]:
    """Images and masks of a folder that holds both; all are images if it holds no masks."""
    masks = [p for p in images if MASK_AFFIX.search(p.stem)]
    if not masks:
        stems = {p.stem for p in images if p.suffix.lower() in (".jpg", ".jpeg")}
        masks = [p for p in images if p.suffix.lower() == ".png" and p.stem in stems]
    is_mask = set(masks)
    return [p for p in images if p not in is_mask], masks


def _order(pair: tuple[str, str, Path, Path]) -> tuple[int, str]:
    return (SPLITS.index(pair[0]) if pair[0] else -1, pair[1])
