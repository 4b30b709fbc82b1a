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
from easyseg.io.read_image import IMAGE_EXTENSIONS

__all__ = ["Pairs", "bare", "find_pairs", "image_folders", "pair", "split_of"]

SPLIT_WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val",
               "validation": "val", "dev": "val", "test": "test", "testing": "test"}  # fmt: skip
MASK_WORDS = {"mask", "masks", "annot", "annots", "annotation", "annotations", "gt", "label",
              "labels", "groundtruth", "truth", "ground", "seg", "segmentation", "segmentations",
              "target", "targets", "segmaps"}  # fmt: skip
IMAGE_WORDS = {"image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "input",
               "inputs", "rgb", "frames", "jpegimages", "original", "originals"}  # fmt: skip
PASSED_OVER = {"visualization", "visualisation", "overlay", "overlays", "preview"}
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
DEEPEST = 6  # folders below the data set's own; links are followed, and may lead in circles


class Pairs(NamedTuple):
    """Images and masks that belong together, and what was left over.

    Attributes:
        pairs: `(split or "", name, image, mask)`.
        images: Images without a mask.
        masks: Masks without an image.
    """

    pairs: list[tuple[str, str, Path, Path]]
    images: list[Path]
    masks: list[Path]


class Place(NamedTuple):
    """What a folder's name says: split (or ""), whether it holds masks, and the other words."""

    split: str
    is_mask: bool
    rest: tuple[str, ...]


def image_folders(root: Path) -> dict[Path, list[Path]]:
    """Folders below `root` (and itself) that hold images, with the images, in order."""
    found = {}
    for at, folders, files in os.walk(root, followlinks=True):
        here = Path(at)
        deep = len(here.relative_to(root).parts) >= DEEPEST
        folders[:] = [] if deep else sorted(f for f in folders if not f.startswith((".", "__")))
        images = sorted(
            f for f in files if f.lower().endswith(IMAGE_EXTENSIONS) and not f.startswith(".")
        )
        if images:
            found[here] = [here / name for name in images]
    return found


def split_of(name: str) -> str:
    """What a word of the name says: "train", "val" or "test"; else ""."""
    return next((SPLIT_WORDS[word] for word in _words(name) if word in SPLIT_WORDS), "")


def find_pairs(root: Path) -> Pairs:
    """Pairs images and masks of all folders below `root`.

    A folder's words say its split and whether it holds masks; folders whose other words are the
    same belong together, as `images/train` and `masks/train`, `Train_Images` and `Train_Masks`,
    `train` and `trainannot` do. A folder of images without a folder of masks may hold both:
    `x.jpg` and `x.png`, or `x.png` and `x_mask.png`.

    Raises:
        DatasetError: Two masks lay claim to one image.
    """
    images: dict[tuple[str, tuple[str, ...]], list[Path]] = defaultdict(list)
    masks: dict[tuple[str, tuple[str, ...]], list[Path]] = defaultdict(list)
    for folder, files in image_folders(root).items():
        place = _place(folder.relative_to(root))
        if place is not None:
            (masks if place.is_mask else images)[place.split, place.rest] += files
    result = Pairs([], [], [])
    for key in dict.fromkeys([*images, *masks]):
        mine, theirs = images[key], masks[key]
        if mine and not theirs:
            mine, theirs = _in_one_folder(mine)
        found = pair(mine, theirs)
        split, rest = key
        result.pairs.extend(
            (split, "/".join([*rest, image.stem]), image, mask) for image, mask in found[0]
        )
        result.images.extend(found[1])
        result.masks.extend(found[2])
    return Pairs(sorted(result.pairs, key=_in_order), result.images, result.masks)


def pair(
    images: Iterable[Path], masks: Iterable[Path]
) -> tuple[list[tuple[Path, Path]], list[Path], list[Path]]:
    """Images and masks of one name; those with a customary addition (`_mask`) likewise.

    Raises:
        DatasetError: Two masks lay claim to one image.
    """
    images = list(images)
    exact, loose = defaultdict(list), defaultdict(list)
    for mask in masks:
        exact[mask.stem].append(mask)
        loose[bare(mask.stem)].append(mask)
    pairs, alone, taken = [], [], set()
    for image in images:
        found = exact.get(image.stem) or loose.get(bare(image.stem)) or []
        if len(found) > 1:
            raise DatasetError(
                f"{image} has two masks, {found[0]} and {found[1]}; remove or rename one."
            )
        if found:
            pairs.append((image, found[0]))
            taken.add(found[0])
        else:
            alone.append(image)
    return pairs, alone, [m for group in exact.values() for m in group if m not in taken]


def bare(stem: str) -> str:
    """The stem without customary additions: "12_mask" and "image_12" become "12"."""
    return AFFIXES.sub("", stem) or stem


def _place(relative: Path) -> Place | None:
    split, is_mask, rest = "", False, []
    for part in relative.parts:
        words = _words(part)
        if PASSED_OVER & set(words):
            return None
        for word in words:
            if word in SPLIT_WORDS:
                split = SPLIT_WORDS[word]
            elif word in MASK_WORDS:
                is_mask = True
            elif word not in IMAGE_WORDS:
                rest.append(word)
    return Place(split, is_mask, tuple(rest))


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
    """Images and masks of a folder that holds both; all are images if it does not."""
    masks = [p for p in images if MASK_AFFIX.search(p.stem)]
    if not masks:
        stems = {p.stem for p in images if p.suffix.lower() in (".jpg", ".jpeg")}
        masks = [p for p in images if p.suffix.lower() == ".png" and p.stem in stems]
    mine = set(masks)
    return [p for p in images if p not in mine], masks


def _in_order(row: tuple[str, str, Path, Path]) -> tuple[int, str]:
    return (SPLITS.index(row[0]) if row[0] else -1, row[1])
