"""YOLO's text files: a line for each polygon, its class and corners from 0 to 1."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.datasets.base import IGNORE, Dataset, Sample
from easyseg.datasets.class_names import ClassTable, clean, make_label_set
from easyseg.datasets.formats.base import DATASETS, Format
from easyseg.datasets.options import DatasetOptions
from easyseg.datasets.pairing import image_folders, split_of
from easyseg.datasets.rasterize import NO_OUTLINE, Shape, draw_shapes
from easyseg.datasets.splits import make_dataset
from easyseg.datasets.values import read_lines, read_yaml, text, whole_number
from easyseg.errors import DatasetError

KEYS = {"train": "train", "val": "val", "valid": "val", "test": "test"}
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
    if not isinstance(names, list):
        return []
    return [
        clean("" if name is None else text(name, f"name {i} in {file}"), i)
        for i, name in enumerate(names)
    ]


def _class_file(root: Path) -> tuple[Path, list[str]] | None:
    """The YAML file that names the classes, and the names."""
    files = (
        [root] if root.is_file() else [*sorted(root.glob("*.yaml")), *sorted(root.glob("*.yml"))]
    )
    for file in files:
        content = _content(file) if file.suffix in (".yaml", ".yml") else {}
        names = _names(content.get("names"), file)
        if names:
            return file, names
    return None


def _content(file: Path) -> dict[str, Any]:
    content = read_yaml(file)
    return content if isinstance(content, dict) else {}


def _detect(root: Path) -> bool:
    named = _class_file(root) if root.is_dir() or root.suffix in (".yaml", ".yml") else None
    data_root = root if root.is_dir() else root.parent
    return named is not None and any(
        _label_file(image) for images in image_folders(data_root).values() for image in images[:50]
    )


def _label_file(image: Path) -> Path | None:
    """`labels/x.txt` for `images/x.jpg`, or `x.txt` beside it."""
    parts = image.with_suffix(".txt").parts
    last = max((i for i, part in enumerate(parts[:-1]) if part == "images"), default=None)
    paths = [image.with_suffix(".txt")]
    if last is not None:
        paths.insert(0, Path(*parts[:last], "labels", *parts[last + 1 :]))
    return next((path for path in paths if path.is_file()), None)


def _read(root: Path, _: DatasetOptions) -> Dataset:
    named = _class_file(root)
    if named is None:
        raise DatasetError(f"{root} has no data.yaml with `names:`; write the classes into it.")
    file, names = named
    data_root = root if root.is_dir() else root.parent
    split_folders = _split_folders(file, data_root)
    table = ClassTable()
    classes = tuple(table.add(names))
    samples, unlabeled = [], []
    for folder, images in image_folders(data_root).items():
        split = next((s for path, s in split_folders.items() if folder.is_relative_to(path)), None)
        if split is None:
            parts = map(split_of, folder.relative_to(data_root).parts)
            split = next((part for part in parts if part), "")
        for image in images:
            labels = _label_file(image)
            if labels is None:
                unlabeled.append(image)
                continue
            name = image.relative_to(data_root).with_suffix("").as_posix()
            samples.append((split, Sample(name, image, labels, _Lines(labels, classes))))
    if not samples:
        raise DatasetError(f"{data_root} has no labels/*.txt for its images; export it again.")
    return make_dataset(
        data_root.name,
        make_label_set(data_root.name, table.names),
        samples,
        notes=[f"Class names are from {file}; pixels outside all polygons are background.",
               "Where objects overlap, the smallest is on top.",
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


def _split_folders(file: Path, data_root: Path) -> dict[Path, str]:
    """Folders that the YAML assigns to splits, where they exist (exports often name others)."""
    content = _content(file)
    base = data_root / str(content.get("path") or "")
    folders = {}
    for key, split in KEYS.items():
        entries = content.get(key) or []
        for entry in [entries] if isinstance(entries, str) else entries:
            paths = (base / str(entry), data_root / str(entry), data_root / str(entry).lstrip("./"))
            path = next((p.resolve() for p in paths if os.path.isdir(p)), None)  # noqa: PTH112  (False for impossible names)
            if path and path.is_relative_to(data_root.resolve()):
                folders[data_root / path.relative_to(data_root.resolve())] = split
    return folders


DATASETS.register("yolo")(Format(_detect, _read))
