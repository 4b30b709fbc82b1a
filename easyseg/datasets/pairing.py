"""Which folders hold images and which hold masks, for which split, by their names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from easyseg.datasets.base import SPLITS
from easyseg.datasets.lookup import Lookup, fold, image_folders
from easyseg.errors import DatasetError

SPLIT_WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val",
               "validation": "val", "dev": "val", "test": "test", "testing": "test"}  # fmt: skip
MASK_WORDS = {"mask", "masks", "annot", "annots", "annotation", "annotations", "gt", "label",
              "labels", "groundtruth", "truth", "ground", "seg", "segmentation", "segmentations",
              "target", "targets", "segmaps", "ann", "anns", "msk", "msks", "semantic",
              "groundtruths", "matte", "mattes"}  # fmt: skip
IMAGE_WORDS = {"image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "input",
               "inputs", "rgb", "frames", "jpegimages", "original", "originals"}  # fmt: skip
NEUTRAL_WORDS = {"dir", "dirs", "folder", "folders"}
SKIPPED_WORDS = {"visualization", "visualisation", "overlay", "overlays", "preview", "thumb",
                 "thumbs", "thumbnail", "thumbnails"}  # fmt: skip
SKIPPED_FOLDERS = {"masks_human"}  # Supervisely's colored copies of masks_machine
JOINED = re.compile(
    rf"({'|'.join(SPLIT_WORDS)})({'|'.join(MASK_WORDS | IMAGE_WORDS)}|aug)|(\w+)(annot)"
)
AFFIX = "image|img|photo|sat|rgb|mask|label|labels|gt|seg|segmentation|annotation|target|matte"
AFFIXES = re.compile(
    rf"^(?:{AFFIX})s?[_\-. ]+(?=.)|"
    rf"(?<=.)[_\-. ]+(?:{AFFIX}|leftImg8bit|(?:gtFine_)?label(?:Train)?Ids)$",
    re.IGNORECASE,
)
MASK_ENDS = re.compile(r"(?<=.)[_\-. ]+(?:L|P|lab)$", re.IGNORECASE)  # an image's may mean left
PART = re.compile(r"data|(?:part|v)\d*")  # in names of folders as ISIC's
MASK_AFFIX = re.compile(
    r"^(?:mask|label|gt|seg)s?[_\-. ]|[_\-. ](?:mask|labels?|gt|seg|segmentation|L|P|lab|matte)$",
    re.IGNORECASE,
)


class Pairs(NamedTuple):
    """Images and masks that belong together, and those that are left over.

    Attributes:
        pairs: `(split or "", name, image, mask)`.
        images: Images without a mask.
        masks: Masks without an image.
        notes: What lists name that is not there, and the like.
    """

    pairs: list[tuple[str, str, Path, Path]]
    images: list[Path]
    masks: list[Path]
    notes: tuple[str, ...] = ()


class FolderRole(NamedTuple):
    """What a folder's name says: split (or ""), whether it holds masks, and the other words."""

    split: str
    is_mask: bool
    rest: tuple[str, ...]


def split_of(name: str) -> str:
    """The split that a word of the name stands for; "" if there is none, or more than one."""
    splits = {SPLIT_WORDS[word] for word in words_of(name) if word in SPLIT_WORDS}
    return splits.pop() if len(splits) == 1 else ""


def split_of_folder(relative: Path) -> str:
    """The split that a folder below the data set's stands for, or ""."""
    return _role(relative).split


def home_of(root: Path) -> Path:
    """The data set's folder, where `root` is one of its files: above `annotations`."""
    if not root.is_file():
        return root
    above = _role(Path(root.parent.name)).is_mask and root.parent.parent != root.parent
    return root.parent.parent if above else root.parent


def image_lookup(root: Path, *, masks: bool = False, without: Collection[Path] = ()) -> Lookup:
    """Finds images below `root` by name, except some; if in doubt, no masks, or masks."""

    def is_likely(folder: Path) -> bool:
        return _role(folder).is_mask == masks and not _is_skipped(folder)

    paths = (path for images in image_folders(root).values() for path in images)
    likely = (path for path in paths if path not in without)
    return Lookup(root, likely, split_of=split_of_folder, is_likely=is_likely)


def find_pairs(root: Path) -> Pairs:
    """Pairs images and masks of all folders below `root`.

    A folder's words say its split and whether it holds masks; folders whose other words are the
    same belong together, as `images/train` and `masks/train`, `Train_Images` and `Train_Masks`,
    `train` and `trainannot` do. A folder of images without a folder of masks may hold both:
    `x.jpg` and `x.png`, or `x.png` and `x_mask.png`.

    Raises:
        DatasetError: An image has two masks, or two images have one.
    """
    groups: dict[tuple[str, ...], tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
    roles: dict[Path, FolderRole] = {}
    for folder, files in image_folders(root).items():
        relative = folder.relative_to(root)
        role = _role(relative)
        if not _is_skipped(relative):
            roles[folder] = role
            groups[role.split, *map(fold, role.rest)][role.is_mask].extend(files)
    result = Pairs([], [], [])
    for images, masks in _joined(groups):
        paired, unpaired_images, unpaired_masks = pair_files(images, masks)
        for image, mask in paired:
            split = roles[image.parent].split or roles[mask.parent].split
            name = "/".join([*roles[image.parent].rest, image.stem])
            result.pairs.append((split, name, image, mask))
        result.images.extend(unpaired_images)
        result.masks.extend(unpaired_masks)
    return Pairs(sorted(result.pairs, key=_order), result.images, result.masks)


def _joined(
    groups: dict[tuple[str, ...], tuple[list[Path], list[Path]]],
) -> Iterator[tuple[list[Path], list[Path]]]:
    """Images with masks: of a group, or of the groups without any that fit each other alone."""
    lone_images: dict[tuple[str, ...], list[Path]] = {}
    lone_masks: dict[tuple[str, ...], list[Path]] = {}
    for key, (images, masks) in groups.items():
        images, masks = (images, masks) if masks else _in_one_folder(images)  # noqa: PLW2901
        if images and masks:
            yield images, masks
        elif images:
            lone_images[key] = images
        else:
            lone_masks[key] = masks
    while lone_masks:
        mask_keys, image_keys = [next(iter(lone_masks))], []
        while True:  # all that fit them, and what fits those
            image_keys = [k for k in lone_images if any(_fit(k, m) for m in mask_keys)]
            more = [m for m in lone_masks if any(_fit(k, m) for k in image_keys)]
            if len(more) <= len(mask_keys):
                break
            mask_keys = more
        masks = [path for key in mask_keys for path in lone_masks.pop(key)]
        yield [path for key in image_keys for path in lone_images.pop(key)], masks
    for images in lone_images.values():
        yield images, []


def _fit(key: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether folders may belong together: of one split or of none, and with words in common."""
    (split, *rest), (other_split, *other_rest) = key, other
    one_split = split == other_split or not (split and other_split)
    words, other_words = ({w for w in r if not PART.fullmatch(w)} for r in (rest, other_rest))
    return one_split and (words <= other_words or words >= other_words)


def pair_files(
    images: Iterable[Path],
    masks: Iterable[Path],
    *,
    folder_of: Callable[[Path], str] | None = None,
) -> tuple[list[tuple[Path, Path]], list[Path], list[Path]]:
    """Pairs images and masks of the same name, up to case and a customary affix (`_mask`).

    Args:
        images: Images.
        masks: Masks.
        folder_of: The folder that must agree too, unless all images or all masks lie in one.

    Returns:
        Pairs, images without a mask, masks without an image.

    Raises:
        DatasetError: An image has two masks, or two images have one.
    """
    images, masks = list(images), list(masks)
    pairs: dict[Path, Path] = {}
    used: set[Path] = set()
    for where in _folders(images, masks, folder_of):
        for name_of, stem_of in NAMES:
            groups: dict[tuple[str, str], tuple[list[Path], list[Path]]] = defaultdict(
                lambda: ([], [])
            )
            for image in (i for i in images if i not in pairs):
                groups[where(image), name_of(image)][0].append(image)
            for mask in (m for m in masks if m not in used):
                groups[where(mask), stem_of(mask)][1].append(mask)
            for group in groups.values():
                pairs.update(_match(*group))
            used.update(pairs.values())
    return (
        [(image, pairs[image]) for image in images if image in pairs],
        [image for image in images if image not in pairs],
        [mask for mask in masks if mask not in used],
    )


def _folders(
    images: list[Path], masks: list[Path], folder_of: Callable[[Path], str] | None
) -> list[Callable[[Path], str]]:
    if folder_of is None:
        return [lambda _: ""]
    is_flat = any(len(set(map(folder_of, paths))) == 1 for paths in (images, masks))
    return [folder_of, lambda _: ""] if is_flat else [folder_of]


def _match(images: Sequence[Path], masks: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Pairs of one name: one, or one for each extension."""
    if not images or not masks:
        return []
    by_extension = [{path.suffix.lower(): path for path in paths} for paths in (images, masks)]
    extensions = {*by_extension[0]}
    if len(images) == len(masks) == 1:
        return [(images[0], masks[0])]
    if extensions == {*by_extension[1]} and len(images) == len(masks) == len(extensions):
        return [(image, by_extension[1][key]) for key, image in by_extension[0].items()]
    if len(images) == 1:
        raise DatasetError(
            f"{images[0]} has two masks, {masks[0]} and {masks[1]}; remove or rename one."
        )
    raise DatasetError(
        f"{images[0]} and {images[1]} have one mask, {masks[0]}; remove or rename one of the two, "
        "so that each image has a mask of its name."
    )


def bare_stem(stem: str) -> str:
    """The stem without customary affixes: "12_mask" and "image_12" become "12"."""
    return AFFIXES.sub("", stem) or stem


# by which names of an image and of a mask belong together, the strictest first
NAMES: tuple[tuple[Callable[[Path], str], Callable[[Path], str]], ...] = (
    (lambda image: image.name, lambda mask: mask.stem),  # a.jpg and a.jpg.png
    (lambda image: image.stem, lambda mask: mask.stem),
    (lambda image: fold(image.stem), lambda mask: fold(mask.stem)),
    (
        lambda image: fold(bare_stem(image.stem)),
        lambda mask: fold(bare_stem(MASK_ENDS.sub("", mask.stem))),
    ),
)


def _role(relative: Path) -> FolderRole:
    """What the folders' names say; names of nothing but a split and a role go before others."""
    named = [(part, words_of(part)) for part in relative.parts]
    plain = [words for _, words in named if _is_plain(words)]
    roles = [w for w in plain if (MASK_WORDS | IMAGE_WORDS) & set(w)] or [w for _, w in named]
    is_mask = any(MASK_WORDS & set(words) for words in roles)
    split = next((SPLIT_WORDS[w] for words in plain for w in words if w in SPLIT_WORDS), "")
    known = MASK_WORDS | IMAGE_WORDS | NEUTRAL_WORDS | set(() if split else SPLIT_WORDS)
    rest: list[str] = []
    for part, words in named:
        if words in plain:
            continue
        others = [word for word in words if word not in known]
        rest += [part] if others == words else others
        split = split or next((SPLIT_WORDS[w] for w in words if w in SPLIT_WORDS), "")
    return FolderRole(split, is_mask, tuple(rest))


def _is_plain(words: Sequence[str]) -> bool:
    return bool(words) and {*words} <= MASK_WORDS | IMAGE_WORDS | NEUTRAL_WORDS | set(SPLIT_WORDS)


def _is_skipped(relative: Path) -> bool:
    return any(
        part.lower() in SKIPPED_FOLDERS or SKIPPED_WORDS & set(words_of(part))
        for part in relative.parts
    )


def words_of(name: str) -> list[str]:
    """The words "train", "masks" of "Train_Masks", "trainMasks" and "trainmasks"."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    words: list[str] = []
    for word in re.split(r"[\W_]+", spaced):
        if word.rstrip("0123456789") in SPLIT_WORDS:  # train2017
            word = word.rstrip("0123456789")  # noqa: PLW2901
        joined = JOINED.fullmatch(word)
        words += filter(None, joined.groups()) if joined else [word] if word else []
    return words


def _in_one_folder(images: list[Path]) -> tuple[list[Path], list[Path]]:
    """Images and masks of a folder that holds both; all are images if it holds no masks."""
    masks = [p for p in images if MASK_AFFIX.search(p.stem)]
    if not masks:
        stems = {fold(p.stem) for p in images if p.suffix.lower() in (".jpg", ".jpeg")}
        masks = [p for p in images if p.suffix.lower() == ".png" and fold(p.stem) in stems]
    is_mask = set(masks)
    return [p for p in images if p not in is_mask], masks


def _order(pair: tuple[str, str, Path, Path]) -> tuple[int, str]:
    return (SPLITS.index(pair[0]) if pair[0] else -1, pair[1])
