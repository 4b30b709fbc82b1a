"""YOLO's text files: a line for each polygon, its class and corners from 0 to 1."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.datasets.base import IGNORE, Dataset, Sample
from easyseg.datasets.class_names import ClassTable, clean, make_label_set
from easyseg.datasets.formats.base import DATASETS, Format
from easyseg.datasets.lookup import Lookup, Name, fold, image_folders, is_image_name, short, walk
from easyseg.datasets.options import DatasetOptions
from easyseg.datasets.pairing import find_pairs, home_of, image_lookup, split_of_folder
from easyseg.datasets.rasterize import NO_OUTLINE, Shape, draw_shapes
from easyseg.datasets.split_lists import ListedPairs, find_lists, read_lists
from easyseg.datasets.splits import make_dataset
from easyseg.datasets.values import read_lines, read_yaml, shown, text, whole_number
from easyseg.errors import DatasetError

KEYS = {"train": "train", "val": "val", "valid": "val", "test": "test"}
ENDINGS = (".yaml", ".yml")
LISTS = (".txt", ".lst", ".list", ".csv")
NAME_FILES = ("classes.txt", "obj.names")  # as Label Studio and CVAT write them
NUMBERS = re.compile(r"[\d.eE+\-\s]+")
BOX = 4  # numbers of a box, not of a polygon


@dataclasses.dataclass(frozen=True)
class _Lines:
    """Draws the mask of one image. It is a `Sample.mask_reader`."""

    path: Path
    classes: tuple[int, ...]  # class id in the mask by class in the file

    def __call__(self, size: tuple[int, int]) -> np.ndarray:
        """`(H, W) uint8` class ids for an image of `(height, width)` pixels."""
        height, width = size
        shapes = [
            Shape(class_id, [corners * (width, height)], where)
            for class_id, corners, where in self.polygons()
        ]
        return draw_shapes(shapes, size)

    def polygons(self) -> Iterator[tuple[int, np.ndarray, str]]:
        """Class, `(corners, 2)` x and y from 0 to 1, and file and line for messages."""
        for number, line in enumerate(read_lines(self.path), 1):
            where = f"line {number} of {self.path}"
            first, *rest = line.split()
            if len(rest) == BOX:
                continue
            try:
                values = np.array(rest, float)
            except ValueError as error:
                raise DatasetError(f"{where} is not `class x y x y ...`; correct it.") from error
            number_of_class = whole_number(first, f"the class in {where}")
            if number_of_class >= len(self.classes):
                raise DatasetError(
                    f"{where} has class {number_of_class}, but data.yaml names "
                    f"{len(self.classes)} classes; add its name there, or remove the line."
                )
            if len(values) < 6 or len(values) % 2:
                raise DatasetError(f"{where} has {len(values)} numbers; give 3 or more x y pairs.")
            if not (np.isfinite(values).all() and values.min() >= -1 and values.max() <= 2):
                raise DatasetError(f"{where} has corners outside 0 to 1; divide by the image size.")
            yield self.classes[number_of_class], values.reshape(-1, 2), where


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


def _class_file(root: Path) -> tuple[Path, list[str]] | None:
    """The YAML file that names the classes, and the names.

    Raises:
        DatasetError: There is none, and one of several files cannot be read.
    """
    files = [root] if root.is_file() else _yaml_files(root)
    errors: list[DatasetError] = []
    named: list[tuple[Path, list[str]]] = []
    for file in files:
        try:
            content = _content(file) if file.suffix.lower() in ENDINGS else {}
            names = _names(content.get("names"), file)
        except DatasetError as error:
            errors.append(error)
            continue
        if names:
            named.append((file, names))
    if len(named) > 1 and len({file.parent for file, _ in named}) > 1:
        raise DatasetError(
            f"{root} holds several data sets, {named[0][0]} and {named[1][0]}; open one of them."
        )
    if errors and not named:
        raise errors[0]
    if not named and root.is_dir():
        lists = [root / name for name in NAME_FILES if (root / name).is_file()]
        named = [(file, [clean(line, i) for i, line in enumerate(read_lines(file))])
                 for file in lists]  # fmt: skip
    return next(iter(named), None)


def _yaml_files(root: Path) -> list[Path]:
    """Those in the folder, else those one below."""
    for pattern in ("*", "*/*"):
        files = [p for p in root.glob(pattern) if p.suffix.lower() in ENDINGS and p.is_file()]
        if files:
            return sorted(files, key=lambda p: (p.suffix.lower(), p))
    return []


def _content(file: Path) -> dict[str, Any]:
    content = read_yaml(file) if file.suffix.lower() in ENDINGS else {}
    return content if isinstance(content, dict) else {}


def _detect(root: Path) -> bool:
    if not (root.is_dir() or root.suffix.lower() in ENDINGS):
        return False
    try:
        named, error = _class_file(root), None
    except DatasetError as problem:
        named, error = None, problem
    data_root = _data_root(named[0], root) if named else home_of(root)
    label_of = _LabelFiles(data_root)
    first = next(
        (text for images in image_folders(data_root).values() for image in images[:50]
         if (text := label_of(image))), None
    )  # fmt: skip
    if root.is_file() and named and _entries(named[0]):
        return True
    has_yaml = named is not None and named[0].suffix.lower() in ENDINGS
    if first is None or not (has_yaml or _looks_like_labels(first)):
        return False
    if named and not has_yaml and find_pairs(root).pairs:
        return False  # the names may be those of masks
    if named is None:
        raise error or DatasetError(
            f"{root} has labels as YOLO's, such as {first}, but no data.yaml with `names:`; write "
            "the classes into it."
        )
    return True


def _looks_like_labels(path: Path) -> bool:
    lines = read_lines(path)[:1]
    return bool(lines) and len(lines[0].split()) > BOX and NUMBERS.fullmatch(lines[0]) is not None


def _base(file: Path, home: Path) -> Path:
    """The folder that `path:` names, to which splits are relative; `home` if it is not there."""
    path = _content(file).get("path")
    for folder in (file.parent, home) if path else ():
        base = Path(os.path.normpath(folder / str(path)))
        is_there = os.path.isdir(base)  # noqa: PTH112  (False, where Path raises, for long names)
        if is_there and base.resolve().parent != base.resolve():  # not `/`
            return base
    return home


def _data_root(file: Path, root: Path) -> Path:
    """The folder that is searched: the one that is opened, or the one that `path:` names."""
    home = home_of(root)
    base = _base(file, home)
    is_inside = base.resolve().is_relative_to(home.resolve())
    is_above = root.is_dir() and home.resolve().is_relative_to(base.resolve())
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
    named = _class_file(root)
    if named is None:
        raise DatasetError(f"{root} has no data.yaml with `names:`; write the classes into it.")
    file, names = named
    data_root = _data_root(file, root)
    label_of = _LabelFiles(data_root)
    folders = image_folders(data_root)
    listed = _listed(file, _base(file, home_of(root)), data_root, folders, label_of)
    images = [
        (split_of_folder(folder.relative_to(data_root)), image, image)
        for folder, paths in folders.items()
        for image in paths
    ]
    outside = {
        i for part in listed.splits.values() for i in part if not i.is_relative_to(data_root)
    }
    images += [("", image, image) for image in sorted(outside)]
    table = ClassTable()
    classes = tuple(table.add(names))
    samples, unlabeled = [], []
    for split, image in listed.sort(images):
        labels = label_of(image)
        if labels is None:
            unlabeled.append(image)
            continue
        inside = image.relative_to(data_root) if image not in outside else Path(image.name)
        name = inside.with_suffix("").as_posix()
        samples.append((split, Sample(name, image, labels, _Lines(labels, classes))))
    if not samples:
        raise DatasetError(f"{data_root} has no labels/*.txt for its images; export it again.")
    return make_dataset(
        data_root.name,
        make_label_set(data_root.name, table.names),
        samples,
        notes=[f"Class names are from {file}; pixels outside all polygons are background.",
               "Where objects overlap, the smallest is on top.", *listed.notes,
               *table.notes, *_about_boxes([sample.mask for _, sample in samples])],
        images_without_mask=unlabeled,
    )  # fmt: skip


def _about_boxes(files: Sequence[Path]) -> list[str]:
    """A note of lines that are boxes.

    Raises:
        DatasetError: There are only boxes.
    """
    boxes, first, outlines = 0, "", 0
    for file in files:
        for number, line in enumerate(read_lines(file), 1):
            if len(line.split()) == BOX + 1:
                boxes, first = boxes + 1, first or f"line {number} of {file}"
            else:
                outlines += 1
    if boxes and not outlines:
        raise DatasetError(f"{first} is a box, as all others; export polygons (YOLO segmentation).")
    return [f"{NO_OUTLINE}: {boxes}, such as {first}."] * (boxes > 0)


def _listed(
    file: Path, base: Path, root: Path, folders: Mapping[Path, list[Path]], label_of: _LabelFiles
) -> ListedPairs:
    """The images that the YAML assigns to splits, by folders, lists, or one by one.

    Raises:
        DatasetError: A list is not there, or no folder that is named for training.
    """
    entries = _entries(file)
    images = image_lookup(root)
    if not entries:
        labels = {label_of(image) for image in images.paths}
        others = {
            split: [path for path in paths if path not in labels]
            for split, paths in find_lists(root).items()
        }
        return read_lists(others, images, images, strict=False)
    lists: dict[str, list[Path]] = {}
    absent: list[str] = []
    named = [e for e in entries if _is_list(e[1], (base, file.parent, root))]
    for split, entry in named:
        path = _list_file(entry, file, base, root)
        if path:
            lists.setdefault(split, []).append(path)
        elif split != "test":
            raise _absent(file, split, entry)
        else:
            absent.append(entry)
    splits, notes = read_lists(lists, images, images, folders=(base,))
    notes += [f"{file} names {short(entry)} for test, which is not there." for entry in absent]
    single = [Name(entry, file, split, (base,)) for split, entry in entries if is_image_name(entry)]
    for name, path in zip(single, images.find_all(single), strict=True):
        if path is None:
            raise _absent(file, name.split, name.text)
        splits.setdefault(name.split, {})[path] = None
    rest = [e for e in entries if not is_image_name(e[1]) and e not in named]
    missing = []
    folders_of = _folders(rest, file, base, root, folders)
    for (split, entry), folder in zip(rest, folders_of, strict=True):
        if folder is None:
            missing.append((split, entry))
            continue
        below = folders if folder.is_relative_to(root) else image_folders(folder)
        inner = [f for f in folders_of if f and f != folder and f.is_relative_to(folder)]
        paths = [
            path
            for f, paths in below.items()
            if f.is_relative_to(folder) and not any(map(f.is_relative_to, inner))
            for path in paths
        ]
        splits.setdefault(split, {}).update(dict.fromkeys(paths))
    for split, entry in missing:
        if split == "train" and split not in splits:
            raise _absent(file, split, entry)
        notes.append(f"{file} names {short(entry)} for {split}, which is not there.")
    return ListedPairs(splits, notes)


def _entries(file: Path) -> list[tuple[str, str]]:
    """Splits and what the YAML says of them: folders, lists, or images."""
    content = _content(file)
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


def _is_list(entry: str, folders: Iterable[Path]) -> bool:
    """Whether it ends as lists do, or is a file that is no image."""
    if is_image_name(entry):
        return False
    return entry.lower().endswith(LISTS) or any(os.path.isfile(f / entry) for f in folders)  # noqa: PTH113  (no raising)


def _list_file(entry: str, file: Path, base: Path, root: Path) -> Path | None:
    lists = [path for _, files in walk(root, LISTS) for path in files]
    return Lookup(root, lists).find(Name(entry, file, "", (base,)))


def _folders(
    entries: list[tuple[str, str]], file: Path, base: Path, root: Path, known: Iterable[Path]
) -> list[Path | None]:
    """The folder of each entry: below the root if it can be, else where the entry says."""
    below = {
        f for path in known for f in (path, *path.parents) if f != root and f.is_relative_to(root)
    }
    lookup = Lookup(root, sorted(below), split_of=split_of_folder)
    found: list[Path | None] = []
    others = lookup.find_all([Name(entry, file, split) for split, entry in entries])
    for (_, entry), other in zip(entries, others, strict=True):
        entry = entry.replace("\\", "/")  # noqa: PLW2901
        near = [
            os.path.normpath(f / t)
            for t in (entry, entry.lstrip("./"))
            for f in (base, file.parent, root)
        ]
        there = [Path(path) for path in near if os.path.isdir(path)]  # noqa: PTH112
        inside = next((path for path in there if path.is_relative_to(root)), None)
        found.append(inside or other or next(iter(there), None))
    return found


def _absent(file: Path, split: str, entry: str) -> DatasetError:
    return DatasetError(
        f"{file} names {short(entry)} for {split}, but it is not there; "
        "correct the path, or remove it."
    )


DATASETS.register("yolo")(Format(_detect, _read))
