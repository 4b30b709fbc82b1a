"""YOLO's text files: a line for each polygon, its class and corners from 0 to 1."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from easyseg.datasets.base import IGNORE, Dataset, Sample
from easyseg.datasets.class_names import ClassTable, clean, make_label_set
from easyseg.datasets.formats.base import DATASETS, Format
from easyseg.datasets.lookup import Lookup, Name, fold, image_folders, is_image_name, short, walk
from easyseg.datasets.options import DatasetOptions
from easyseg.datasets.pairing import find_pairs, home_of, image_lookup, split_of_folder
from easyseg.datasets.rasterize import NO_OUTLINE, Shape, draw_shapes, require_count
from easyseg.datasets.split_lists import ListedPairs, find_lists, read_lists
from easyseg.datasets.splits import make_dataset
from easyseg.datasets.values import read_lines, read_yaml, shown, text, whole_number
from easyseg.errors import DatasetError
from easyseg.utils.files import real_path

KEYS = {"train": "train", "val": "val", "valid": "val", "test": "test"}
EXTENSIONS = (".yaml", ".yml")
LISTS = (".txt", ".lst", ".list", ".csv")
NAME_FILES = ("classes.txt", "obj.names")  # as Label Studio and CVAT write them
NUMBERS = re.compile(r"[\d.eE+\-\s]+")
Entry = tuple[str, str]  # a split, and a folder, a list or an image for it
MAX_LABELS = 24 << 20  # bytes of one image's labels, which take 1 GB at most
BOX = 5  # words in the line of a box: its class, center, width and height


@dataclasses.dataclass(frozen=True)
class _Lines:
    """Draws the mask of one image. It is a `Sample.mask_reader`."""

    path: Path
    classes: tuple[int, ...]  # class id in the mask by class in the file

    def __call__(self, size: tuple[int, int]) -> np.ndarray:
        """`(H, W) uint8` class ids for an image of `(height, width)` pixels."""
        outlines = [line for line in _label_lines(self.path) if len(line[1]) != BOX]
        if not outlines:
            return draw_shapes([], size)
        wheres = [f"line {number} of {self.path}" for number, _ in outlines]
        require_count(len(outlines), wheres[-1])
        parsed = [self._parse(line[1], w) for line, w in zip(outlines, wheres, strict=True)]
        values = np.concatenate([corners for _, corners in parsed])
        ends = np.cumsum([len(corners) for _, corners in parsed])
        outside = ~((values >= -1) & (values <= 2))  # NaN is, too
        if outside.any():
            where = wheres[np.searchsorted(ends, outside.argmax(), side="right")]
            raise DatasetError(f"{where} has corners outside 0 to 1; divide by the image size.")
        polygons = np.split(values.reshape(-1, 2) * size[::-1], ends[:-1] // 2)
        return draw_shapes(
            [Shape(each[0], [p], w) for each, p, w in zip(parsed, polygons, wheres, strict=True)],
            size,
        )

    def _parse(self, words: list[str], where: str) -> tuple[int, np.ndarray]:
        """The class id of a line, and x and y of each corner, `(2 n,) float64`."""
        try:
            values = np.array(words[1:], float)
        except ValueError as error:
            raise DatasetError(f"{where} is not `class x y x y ...`; correct it.") from error
        number = whole_number(words[0], f"the class in {where}")
        if number >= len(self.classes):
            raise DatasetError(
                f"{where} has class {number}, but data.yaml names {len(self.classes)} classes; "
                "add its name there, or remove the line."
            )
        if len(values) < 6 or len(values) % 2:
            raise DatasetError(f"{where} has {len(values)} numbers; give 3 or more x y pairs.")
        return self.classes[number], values


def _label_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The number and the words of each line of a label file."""
    return enumerate(map(str.split, read_lines(path, most=MAX_LABELS)), 1)


class _Config(NamedTuple):
    """The file that names the classes, and what it says."""

    file: Path  # a YAML file, or a list of names
    names: list[str]
    base: Path  # to which folders and lists are relative
    root: Path  # where images are searched
    entries: list[Entry]


def _config(root: Path) -> _Config | None:
    """What the file of class names says; `None` if there is none.

    Raises:
        DatasetError: There is none, and one of several files cannot be read.
    """
    errors: list[DatasetError] = []
    named: list[tuple[Path, list[str], dict[str, Any]]] = []
    for file in _yaml_files(root):
        try:
            content = read_yaml(file)
            content = content if isinstance(content, dict) else {}
            names = _names(content.get("names"), file)
        except DatasetError as error:
            errors.append(error)
            continue
        if names:
            named.append((file, names, content))
    if len({file.parent for file, *_ in named}) > 1:
        raise DatasetError(
            f"{root} holds several data sets, {named[0][0]} and {named[1][0]}; open one of them."
        )
    if errors and not named:
        raise errors[0]
    for file in (root / name for name in NAME_FILES):
        if not named and file.is_file():
            named = [(file, [clean(line, i) for i, line in enumerate(read_lines(file))], {})]
    if not named:
        return None
    file, names, content = named[0]
    base = _base(content.get("path"), file, home_of(root))
    return _Config(file, names, base, _data_root(base, root), _entries(content))


def _names(names: Any, file: Path) -> list[str]:
    """Names of the classes, in the order of their numbers; empty where there are none."""
    if isinstance(names, dict):
        where = f"a class number in {file}"
        by_number = {whole_number(key, where, most=IGNORE - 1): n for key, n in names.items()}
        if len(by_number) < len(names):
            raise DatasetError(f"{file} names a class twice; give each number one name.")
        names = [by_number.get(i) for i in range(max(by_number, default=-1) + 1)]
    if names is None:
        return []
    if not isinstance(names, list):
        raise DatasetError(f"`names` in {file} is {shown(names)}; give a list of names.")
    return [
        clean("" if name is None else text(name, f"name {i} in {file}"), i)
        for i, name in enumerate(names)
    ]


def _yaml_files(root: Path) -> list[Path]:
    """The file itself, or those in the folder, else those one below."""
    for paths in ([root],) if root.is_file() else (root.glob("*"), root.glob("*/*")):
        files = [p for p in paths if p.suffix.lower() in EXTENSIONS and p.is_file()]
        if files:
            return sorted(files, key=lambda p: (p.suffix.lower(), p))
    return []


def _detect(root: Path) -> bool:
    if not (root.is_dir() or root.suffix.lower() in EXTENSIONS):
        return False
    try:
        config, error = _config(root), None
    except DatasetError as problem:
        config, error = None, problem
    if root.is_file() and config and config.entries:
        return True
    data_root = config.root if config else home_of(root)
    label_of = _LabelFiles(data_root)
    first = next(
        (text for images in image_folders(data_root).values() for image in images[:50]
         if (text := label_of(image))), None
    )  # fmt: skip
    if first is None:
        return False
    if config and config.file.suffix.lower() in EXTENSIONS:
        return True
    if not _looks_like_labels(first):
        return False
    if config is None:
        raise error or DatasetError(
            f"{root} has labels as YOLO's, such as {first}, but no data.yaml with `names:`; write "
            "the classes into it."
        )
    return not find_pairs(root).pairs  # whose masks the names may be for


def _looks_like_labels(path: Path) -> bool:
    lines = read_lines(path, most=MAX_LABELS)[:1]
    return bool(lines) and len(lines[0].split()) >= BOX and NUMBERS.fullmatch(lines[0]) is not None


def _base(path: Any, file: Path, home: Path) -> Path:
    """The folder that `path:` names in the file; `home` if it is not there."""
    for folder in (file.parent, home) if path else ():
        base = Path(os.path.normpath(folder / str(path)))
        is_there = os.path.isdir(base)  # noqa: PTH112  (False, where Path raises, for long names)
        if is_there and real_path(base).parent != real_path(base):  # not `/`
            return base
    return home


def _data_root(base: Path, root: Path) -> Path:
    """The folder that is searched: the one that is opened, or the one that `path:` names."""
    home = home_of(root)
    is_inside = real_path(base).is_relative_to(real_path(home))
    is_above = root.is_dir() and real_path(home).is_relative_to(real_path(base))
    return home if is_inside or is_above else base


class _LabelFiles:
    """Finds `labels/x.txt` for `images/x.jpg`, or `x.txt` beside it; case does not matter."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._by_name = {
            fold(path.relative_to(root).as_posix()): path
            for _, files in walk(root, (".txt",))
            for path in files
        }

    def __call__(self, image: Path) -> Path | None:
        """The labels of an image below the root, or elsewhere."""
        if not image.is_relative_to(self.root):
            paths = (Path(name + ".txt") for name in _label_names(image.with_suffix("").as_posix()))
            return next((path for path in paths if path.is_file()), None)
        relative = fold(image.relative_to(self.root).with_suffix("").as_posix())
        names = _label_names(relative)
        return next((self._by_name[f"{n}.txt"] for n in names if f"{n}.txt" in self._by_name), None)


def _label_names(image: str) -> Iterator[str]:
    """Where the labels of an image may lie, both without extension."""
    parts = image.split("/")
    for i in reversed(range(len(parts) - 1)):
        if parts[i].casefold() == "images":
            yield "/".join([*parts[:i], "labels", *parts[i + 1 :]])
    yield image


def _read(root: Path, _: DatasetOptions) -> Dataset:
    config = _config(root)
    if config is None:
        raise DatasetError(f"{root} has no data.yaml with `names:`; write the classes into it.")
    data_root = config.root
    label_of = _LabelFiles(data_root)
    folders = image_folders(data_root)
    listed = _listed(config, folders, label_of)
    images = [
        (split_of_folder(folder.relative_to(data_root)), image, image)
        for folder, paths in folders.items()
        for image in paths
    ]
    named = {image for part in listed.splits.values() for image in part}
    outside = {image for image in named if not image.is_relative_to(data_root)}
    images += [("", image, image) for image in sorted(outside)]
    table = ClassTable()
    classes = tuple(table.add(config.names))
    samples, unlabeled = [], []
    users: dict[Path, Path] = {}
    for split, image in listed.sort(images):
        labels = label_of(image)
        if labels is None:
            unlabeled.append(image)
            continue
        if users.setdefault(labels, image) != image:
            raise DatasetError(
                f"{users[labels]} and {image} have one file of labels, {labels}; remove or rename "
                "one of the two, so that each image has labels of its name."
            )
        inside = image.relative_to(data_root) if image not in outside else Path(image.name)
        name = inside.with_suffix("").as_posix()
        samples.append((split, Sample(name, image, labels, _Lines(labels, classes))))
    if not samples:
        raise DatasetError(f"{data_root} has no labels/*.txt for its images; export it again.")
    notes = [f"Class names are from {config.file}; pixels outside all polygons are background.",
             "Where objects overlap, the smallest is on top.", *listed.notes,
             *table.notes, *_about_boxes([sample.mask for _, sample in samples])]  # fmt: skip
    return make_dataset(
        data_root.name,
        make_label_set(data_root.name, table.names),
        samples,
        notes=notes,
        images_without_mask=unlabeled,
    )


def _about_boxes(files: Sequence[Path]) -> list[str]:
    """A note of lines that are boxes.

    Raises:
        DatasetError: There are only boxes.
    """
    boxes, first, outlines = 0, "", 0
    for file in files:
        for number, words in _label_lines(file):
            if len(words) == BOX:
                boxes, first = boxes + 1, first or f"line {number} of {file}"
            else:
                outlines += 1
    if boxes and not outlines:
        raise DatasetError(
            f"{first} is a box, like all others; export polygons (YOLO segmentation)."
        )
    return [f"{NO_OUTLINE}: {boxes}, such as {first}."] * (boxes > 0)


def _listed(
    config: _Config, folders: Mapping[Path, list[Path]], label_of: _LabelFiles
) -> ListedPairs:
    """The images that the YAML assigns to splits, by lists, one by one, or by folders.

    Raises:
        DatasetError: A list or an image is not there, or no folder that is named for training.
    """
    images = image_lookup(config.root)
    if not config.entries:
        labels = {label_of(image) for image in images.paths}
        others = {
            split: [path for path in paths if path not in labels]
            for split, paths in find_lists(config.root).items()
        }
        return read_lists(others, images, images, strict=False)
    near = (config.base,)
    kind_of = {each: _kind(each[1], config) for each in config.entries}
    single, lists, rest = (
        [each for each, kind in kind_of.items() if kind == wanted]
        for wanted in ("image", "list", "folder")
    )
    files, absent = _list_files(lists, config)
    splits, notes = read_lists(files, images, images, folders=near)
    names = [Name(entry, config.file, split, near) for split, entry in single]
    for each, path in zip(single, images.find_all(names), strict=True):
        if path is None:
            raise _absent(each, config)
        splits.setdefault(each[0], {})[path] = None
    for each, paths in zip(rest, _images_in(rest, config, folders), strict=True):
        if paths is None:
            absent.append(each)
        else:
            splits.setdefault(each[0], {}).update(dict.fromkeys(paths))
    for split, entry in absent:
        if split == "train" and split not in splits:
            raise _absent((split, entry), config)
        notes.append(f"{config.file} names {short(entry)} for {split}, which is not there.")
    return ListedPairs(splits, notes)


def _entries(content: Mapping[str, Any]) -> list[Entry]:
    """Splits and what the YAML says of them: folders, lists, or images."""
    entries = []
    for key, split in KEYS.items():
        value = content.get(key) or []
        values = value if isinstance(value, list) else [value]
        entries += [
            (split, re.sub(r"[/\\]?\*[^/\\]*$", "", str(entry).strip()))
            for entry in values
            if entry is not None
        ]
    return entries


def _kind(entry: str, config: _Config) -> str:
    """Whether it names an "image", a "list" (a file, or called like one), or a "folder"."""
    if is_image_name(entry):
        return "image"
    folders = (config.base, config.file.parent, config.root)
    is_file = any(os.path.isfile(folder / entry) for folder in folders)  # noqa: PTH113  (no raising)
    return "list" if is_file or entry.lower().endswith(LISTS) else "folder"


def _list_files(lists: list[Entry], config: _Config) -> tuple[dict[str, list[Path]], list[Entry]]:
    """The lists by split, and those for test that are not there."""
    known = [path for _, files in walk(config.root, LISTS) for path in files] if lists else ()
    lookup = Lookup(config.root, known)
    files: dict[str, list[Path]] = {}
    absent = []
    for split, entry in lists:
        path = lookup.find(Name(entry, config.file, "", (config.base,)))
        if path:
            files.setdefault(split, []).append(path)
        elif split == "test":
            absent.append((split, entry))
        else:
            raise _absent((split, entry), config)
    return files, absent


def _images_in(
    entries: list[Entry], config: _Config, folders: Mapping[Path, list[Path]]
) -> Iterator[list[Path] | None]:
    """The images in the folder of each entry, without those in the folder of another one.

    `None` stands for a folder that is not there.
    """
    root = config.root
    below = {
        f for path in folders for f in (path, *path.parents) if f != root and f.is_relative_to(root)
    }
    lookup = Lookup(root, sorted(below), split_of=split_of_folder)
    likely = lookup.find_all([Name(entry, config.file, split) for split, entry in entries])
    found = [_folder(e[1], config, path) for e, path in zip(entries, likely, strict=True)]
    for folder in found:
        if folder is None:
            yield None
            continue
        inner = [f for f in found if f and f != folder and f.is_relative_to(folder)]
        known = folders if folder.is_relative_to(root) else image_folders(folder)
        yield [
            path
            for f, paths in known.items()
            if f.is_relative_to(folder) and not any(map(f.is_relative_to, inner))
            for path in paths
        ]


def _folder(entry: str, config: _Config, likely: Path | None) -> Path | None:
    """The folder of an entry: below the root where it says or is likely, else where it says."""
    entry = entry.replace("\\", "/")
    bases = (config.base, config.file.parent, config.root)
    near = [os.path.normpath(f / text) for text in (entry, entry.lstrip("./")) for f in bases]
    there = [Path(path) for path in near if os.path.isdir(path)]  # noqa: PTH112  (no raising)
    inside = next((path for path in there if path.is_relative_to(config.root)), None)
    return inside or likely or next(iter(there), None)


def _absent(entry: Entry, config: _Config) -> DatasetError:
    return DatasetError(
        f"{config.file} names {short(entry[1])} for {entry[0]}, but it is not there; "
        "correct the path, or remove it."
    )


DATASETS.register("yolo")(Format(_detect, _read))
