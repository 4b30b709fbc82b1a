"""YOLO's text files: a line for each outline, its class and corners from 0 to 1."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml

from easyseg.datasets.base import Dataset, Sample
from easyseg.datasets.class_names import BACKGROUND, make_label_set, read_lines, read_text
from easyseg.datasets.formats.base import DATASETS, Asked, Format
from easyseg.datasets.pairing import image_folders, split_of
from easyseg.datasets.rasterize import Shape, draw_shapes
from easyseg.datasets.splits import arrange
from easyseg.errors import DatasetError

__all__: list[str] = []

KEYS = {"train": "train", "val": "val", "valid": "val", "test": "test"}
BOX = 4  # numbers of a box, which has no outline


@dataclasses.dataclass(frozen=True)
class _Lines:
    """Draws the truth of one image. It is a `Sample.mask_reader`."""

    path: Path
    classes: int  # without background

    def __call__(self, size: tuple[int, int]) -> np.ndarray:
        """`(H, W) uint8` class ids for an image of `(height, width)` pixels."""
        height, width = size
        shapes = [
            Shape(class_id + 1, [(corners * (width, height)).ravel().tolist()], where)
            for class_id, corners, where in self.outlines()
        ]
        return draw_shapes(shapes, size)

    def outlines(self) -> Iterator[tuple[int, np.ndarray, str]]:
        """Class, `(corners, 2)` x and y from 0 to 1, and the place for messages."""
        for number, line in enumerate(read_lines(self.path), 1):
            where = f"line {number} of {self.path}"
            try:
                first, *rest = line.split()
                class_id, values = int(first), np.array(rest, float)
            except ValueError as error:
                raise DatasetError(f"{where} is not `class x y x y ...`; mend it.") from error
            if not 0 <= class_id < self.classes:
                raise DatasetError(
                    f"{where} has class {class_id}, but data.yaml names {self.classes} classes; "
                    "add its name there, or remove the line."
                )
            if len(values) == BOX:
                raise DatasetError(f"{where} is a box; export outlines (YOLO segmentation).")
            if len(values) < 6 or len(values) % 2:
                raise DatasetError(f"{where} has {len(values)} numbers; an outline has x y pairs.")
            if not (np.isfinite(values).all() and values.min() >= -1 and values.max() <= 2):
                raise DatasetError(f"{where} has corners that are not from 0 to 1; divide by size.")
            yield class_id, values.reshape(-1, 2), where


def _settings(root: Path) -> tuple[Path, list[str]] | None:
    """The YAML file, and the names of the classes."""
    files = (
        [root] if root.is_file() else [*sorted(root.glob("*.yaml")), *sorted(root.glob("*.yml"))]
    )
    for file in files:
        names = _content(file).get("names") if file.suffix in (".yaml", ".yml") else None
        if isinstance(names, dict):
            names = [names.get(i, f"class {i}") for i in range(max(names, default=-1) + 1)]
        if isinstance(names, list) and names:
            return file, [str(name) for name in names]
    return None


def _content(file: Path) -> dict:
    try:
        content = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise DatasetError(
            f"{file} is no YAML ({' '.join(str(error).split())}); mend it."
        ) from error
    return content if isinstance(content, dict) else {}


def _recognise(root: Path) -> bool:
    settings = _settings(root) if root.is_dir() or root.suffix in (".yaml", ".yml") else None
    home = root if root.is_dir() else root.parent
    return settings is not None and any(
        _text_of(image) for found in image_folders(home).values() for image in found[:50]
    )


def _text_of(image: Path) -> Path | None:
    """`labels/x.txt` for `images/x.jpg`, or `x.txt` beside it."""
    parts = image.with_suffix(".txt").parts
    last = max((i for i, part in enumerate(parts[:-1]) if part == "images"), default=None)
    places = [image.with_suffix(".txt")]
    if last is not None:
        places.insert(0, Path(*parts[:last], "labels", *parts[last + 1 :]))
    return next((place for place in places if place.is_file()), None)


def _read(root: Path, _: Asked) -> Dataset:
    settings = _settings(root)
    if settings is None:
        raise DatasetError(f"{root} has no data.yaml with `names:`; write the classes into it.")
    file, names = settings
    home = root if root.is_dir() else root.parent
    declared = _declared(file, home)
    rows, alone = [], []
    for folder, images in image_folders(home).items():
        split = next((s for place, s in declared.items() if folder.is_relative_to(place)), None)
        if split is None:
            parts = map(split_of, folder.relative_to(home).parts)
            split = next((part for part in parts if part), "")
        for image in images:
            text = _text_of(image)
            if text is None:
                alone.append(image)
                continue
            name = image.relative_to(home).with_suffix("").as_posix()
            rows.append((split, Sample(name, image, text, _Lines(text, len(names)))))
    if not rows:
        raise DatasetError(f"{home} has no labels/*.txt for its images; export it again.")
    splits, divided = arrange(rows)
    voiced = [BACKGROUND, *names]
    notes = [f"Class names are from {file}; what has no outline is background.",
             "Regions of several objects have the class of the smallest one."]  # fmt: skip
    return Dataset(
        name=home.name,
        format="yolo",
        label_set=make_label_set(home.name, voiced),
        splits=splits,
        notes=(*notes, *divided),
        unlabelled=tuple(alone),
    )


def _declared(file: Path, home: Path) -> dict[Path, str]:
    """Folders that the YAML gives to splits, where they exist (exports often name others)."""
    content = _content(file)
    base = home / str(content.get("path") or "")
    found = {}
    for key, split in KEYS.items():
        entries = content.get(key) or []
        for entry in [entries] if isinstance(entries, str) else entries:
            places = (base / str(entry), home / str(entry), home / str(entry).lstrip("./"))
            place = next((p.resolve() for p in places if p.is_dir()), None)
            if place and place.is_relative_to(home.resolve()):
                found[home / place.relative_to(home.resolve())] = split
    return found


DATASETS.register("yolo")(Format(_recognise, _read))
