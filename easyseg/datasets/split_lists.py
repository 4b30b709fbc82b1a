"""Text files that list the images of a split, as the field's tools write them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from easyseg.datasets.lookup import Lookup, Name, is_image_name, short, walk
from easyseg.datasets.pairing import (
    SPLIT_WORDS,
    Pairs,
    find_pairs,
    image_lookup,
    split_of,
    words_of,
)
from easyseg.datasets.values import read_lines
from easyseg.errors import DatasetError

T = TypeVar("T")

EXTENSIONS = (".txt", ".lst", ".list", ".csv")
LIST_WORDS = {"aug", "autosplit", "file", "filelist", "files", "fold", "id", "ids", "image",
              "images", "img", "imgs", "list", "name", "names", "pair", "pairs", "set",
              "split"}  # fmt: skip
BOTH = "trainval"  # a list of what is for training or validation
ALL_WORDS = {"all", "default", "filelist", "list", "pairs"}  # lists for no split
MAX_DEPTH = 3  # folders below the data set's in which lists lie
SEPARATORS = re.compile(r"[\s,;|]+")
COLUMNS = re.compile(r"\s*[,;|\t]\s*")  # of tables, whose names may hold blanks


class ListedPairs(NamedTuple):
    """What lists name.

    Attributes:
        splits: The mask, or `None` if the list does not say it, by image and split.
        notes: What is not used, or not there.
    """

    splits: dict[str, dict[Path, Path | None]]
    notes: list[str]

    def sort(self, items: Iterable[tuple[str, Path, T]]) -> list[tuple[str, T]]:
        """Items with the splits that lists say.

        Where lists name the images for training, images that no list names are left out, unless
        their folder stands for a split without a list.

        Args:
            items: The split that folders say, the image, and what belongs to it.
        """
        closed = {"", *self.splits} if "train" in self.splits else set()
        sorted_items, unused = [], []
        for split, image, item in items:
            listed = [name for name, part in self.splits.items() if image in part]
            if not listed and split in closed:
                unused.append(image)
                continue
            sorted_items += [(name or split, item) for name in listed or [split]]
        if unused:
            self.notes.append(
                f"{len(unused)} images that no list names are not used, such as {unused[0]}."
            )
        return sorted_items


class _Row(NamedTuple):
    """A line of a list."""

    split: str
    file: Path
    image: str
    mask: str  # or ""


def find_lists(root: Path, *, any_name: bool = False) -> dict[str, list[Path]]:
    """Lists below `root` by split or "trainval"; those for none, as `default.txt`, are of "".

    Where no file has the name of a list for a split, those are it that have a split's word in their
    name, such as `my_train.txt`, and name nothing but images.

    Args:
        root: The folder.
        any_name: Whether lists may have other names too; those are for no split.
    """
    lists: dict[str, list[Path]] = {}
    others: dict[str, list[Path]] = {}
    for folder, files in walk(root):
        if len(folder.relative_to(root).parts) > MAX_DEPTH:
            continue
        stems = {path.stem for path in files if is_image_name(path.name)}
        for path in files:
            if path.suffix.lower() not in EXTENSIONS or path.stem in stems:
                continue
            split = _split_of_list(path.stem)
            if split is not None or any_name:
                lists.setdefault(split or "", []).append(path)
            elif split_of(path.stem):
                others.setdefault(split_of(path.stem), []).append(path)
    return lists if any(lists) else {**lists, **others}


def listed_pairs(root: Path) -> Pairs:
    """The pairs of all folders below `root`, in the splits that lists there say.

    A list may name masks too. Where lists name the images for training, images that no list names
    are not used, unless their folder stands for a split without a list.

    Raises:
        DatasetError: An image has two masks, two images have one, or a list names what is not
            there.
    """
    pairs = find_pairs(root)
    lists = find_lists(root)
    if not lists or not any(pairs):
        return pairs
    own: dict[Path, tuple[str, str, Path]] = {
        image: (split, name, mask) for split, name, image, mask in pairs.pairs
    }
    known_masks = {*pairs.masks, *(mask for *_, mask in pairs.pairs)}
    known_images = {image for *_, image, _ in pairs.pairs}
    has_splits = any(lists)
    listed = read_lists(
        {split: files for split, files in lists.items() if bool(split) == has_splits},
        image_lookup(root, without=known_masks),
        image_lookup(root, masks=True, without=known_images),
        strict=False,
    )
    for image, mask in (row for part in listed.splits.values() for row in part.items()):
        if mask:
            split, name, _ = own.get(image, ("", _name(root, image), mask))
            own[image] = split, name, mask
    items = ((split, image, (name, image, mask)) for image, (split, name, mask) in own.items())
    found = [(split, *pair) for split, pair in listed.sort(items)]
    used = {path for _, _, *paths in found for path in paths}
    return Pairs(
        found,
        [image for image in pairs.images if image not in used],
        [mask for mask in pairs.masks if mask not in used],
        tuple(listed.notes),
    )


def read_lists(
    lists: Mapping[str, Sequence[Path]],
    images: Lookup,
    masks: Lookup,
    *,
    folders: tuple[Path, ...] = (),
    strict: bool = True,
) -> ListedPairs:
    """The images, and masks, that lists name.

    Args:
        lists: The files by split: "train", "val", "test", "trainval" or "".
        images: Finds images.
        masks: Finds masks.
        folders: To which names in the lists may be relative, beside the list's and the root.
        strict: Whether a file in which nothing looks like an image is an error too; else it is not
            a list.

    Raises:
        DatasetError: A name that no file has, or several.
    """
    rows = [
        _Row(split, file, *names)
        for split, files in lists.items()
        for file in files
        for lines in [_read(file, images, masks)]
        if strict or _split_of_list(file.stem) is not None or _is_list(file, lines, images)
        for names in lines
    ]
    found = images.find_all([Name(row.image, row.file, row.split, folders) for row in rows])
    found_masks = masks.find_all([Name(row.mask, row.file, row.split, folders) for row in rows])
    splits: dict[str, dict[Path, Path | None]] = {}
    names: defaultdict[Path, list[str]] = defaultdict(list)
    absent: defaultdict[Path, list[str]] = defaultdict(list)
    for row, image, mask in zip(rows, found, found_masks, strict=True):
        names[row.file].append(row.image)
        if image is None or (row.mask and mask is None):
            absent[row.file].append(row.image if image is None else row.mask)
        else:
            splits.setdefault(row.split, {}).setdefault(image, mask)
    for file, missing in absent.items():
        count = len(names[file])
        if strict or len(missing) < count or any(map(_looks_like_a_path, missing)):
            how_many = "none of them is" if len(missing) == count else f"{len(missing)} are not"
            raise DatasetError(
                f"{file} names {count} images, but {how_many} there, such as {short(missing[0])}; "
                "correct the names, or remove them from the list."
            )
    return ListedPairs(_without_trainval(splits), [])


def _read(file: Path, images: Lookup, masks: Lookup) -> list[tuple[str, str]]:
    """The names in each line, without comments and a heading."""
    lines = [line for line in read_lines(file) if not line.startswith("#")]
    names = [_split_line(line, images, masks) for line in lines]
    first = names[0][0] if names and file.suffix.lower() == ".csv" else ""
    has_heading = first and not (is_image_name(first) or images.fits(first))
    return names[1:] if has_heading else names


def _is_list(file: Path, names: Sequence[tuple[str, str]], images: Lookup) -> bool:
    """Whether each line names an image, or is the id of one; those of YOLO's labels begin so."""
    lines = {*read_lines(file)}
    return all(images.fits(i) and (is_image_name(i) or i in lines) for i, _ in names)


def _without_trainval(
    splits: dict[str, dict[Path, Path | None]],
) -> dict[str, dict[Path, Path | None]]:
    """`trainval` is what is not listed for the other one: for training, or for validation."""
    both = splits.pop(BOTH, {})
    for split, other in (("train", "val"), ("val", "train")):
        if both and split not in splits:
            taken = splits.get(other, {})
            rest = {image: mask for image, mask in both.items() if image not in taken}
            both = {}
            if rest:
                splits[split] = rest
    return splits


def _split_line(line: str, images: Lookup, masks: Lookup) -> tuple[str, str]:
    """The names of image and mask in a line: `a b.jpg`, `a.jpg b.png`, `a.jpg,b.png`, `a 1`, ..."""
    line = line.strip("\"'")
    pieces = list(SEPARATORS.finditer(line))
    for piece in pieces:
        left, right = (text.strip("\"'") for text in (line[: piece.start()], line[piece.end() :]))
        if is_image_name(left) and is_image_name(right) and images.fits(left):
            return left, right
    if not pieces or images.fits(line, _parts_with_blanks(line)):
        return line, ""
    cells = [
        text.strip("\"'") for text in (COLUMNS if COLUMNS.search(line) else SEPARATORS).split(line)
    ]
    # an id or index may go before the names
    start = next((i for i, c in enumerate(cells) if is_image_name(c) and images.fits(c)), 0)
    first, *others = cells[start:]
    if not images.fits(first):
        return line, ""
    mask = next((text for text in others if not _is_number(text) and masks.fits(text)), "")
    return first, mask


def _parts_with_blanks(line: str) -> int:
    """How many parts, from the end, reach to the first one with a separator in it."""
    parts = line.replace("\\", "/").split("/")
    return len(parts) - next(i for i, part in enumerate(parts) if SEPARATORS.search(part))


def _is_number(text: str) -> bool:
    return text.lstrip("+-").isdecimal()


def _looks_like_a_path(text: str) -> bool:
    return is_image_name(text) or bool(re.fullmatch(r"\S*[/\\]\S*[^/\\.]", text))


def _split_of_list(stem: str) -> str | None:
    """The split of a list by its name; `None` if it does not have the name of a list."""
    words = [re.sub(r"^fold\d+$", "fold", word) for word in words_of(stem)]
    if BOTH in words and {*words} <= LIST_WORDS | {BOTH}:
        return BOTH
    if any(word in SPLIT_WORDS for word in words) and {*words} <= LIST_WORDS | {*SPLIT_WORDS}:
        both = {SPLIT_WORDS[w] for w in words if w in SPLIT_WORDS} == {"train", "val"}
        return BOTH if both else split_of(stem) or None
    return "" if words and {*words} <= ALL_WORDS else None


def _name(root: Path, image: Path) -> str:
    inside = image.is_relative_to(root)
    return (image.relative_to(root).with_suffix("") if inside else Path(image.stem)).as_posix()
