"""COCO JSON: polygons and run lengths, one file or one for each split, as Roboflow exports them."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from easyseg.datasets.base import IGNORE, Dataset, Sample
from easyseg.datasets.class_names import BACKGROUND, clean, is_void, make_label_set, read_text
from easyseg.datasets.formats.base import DATASETS, Asked, Format
from easyseg.datasets.mask_files import fit_mask
from easyseg.datasets.pairing import image_folders, split_of
from easyseg.datasets.rasterize import Shape, draw_shapes
from easyseg.datasets.splits import arrange
from easyseg.errors import DatasetError

__all__ = ["annotation_files"]

PARTS = ("images", "annotations", "categories")
OTHERS = ("person_keypoints", "captions", "panoptic", "stuff", "image_info")  # COCO's other files


@dataclasses.dataclass(frozen=True)
class _Drawn:
    """Draws the truth of one image. It is a `Sample.mask_reader`."""

    shapes: tuple[Shape, ...]
    size: tuple[int, int] | None  # (height, width) that the file says the image has
    file: Path
    image: Path

    def __call__(self, size: tuple[int, int]) -> np.ndarray:
        """`(H, W) uint8` class ids for an image of `(height, width)` pixels."""
        ids = draw_shapes(self.shapes, self.size or size)
        return fit_mask(ids, size, mask=self.file, image=self.image)


class _Reading:
    """What all files of a data set have told so far."""

    def __init__(self, root: Path) -> None:
        self.names = [BACKGROUND]
        self.rows: list[tuple[str, Sample]] = []
        self.taken: set[tuple[str, str]] = set()
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self.categories: list[str] = []
        self.images: dict[str, list[Path]] = defaultdict(list)
        self.folders = image_folders(root)
        for images in self.folders.values():
            for path in images:
                self.images[path.name].append(path)

    def count(self, what: str, example: object) -> None:
        self.counts[what] += 1
        self.examples.setdefault(what, str(example))

    def notes(self) -> list[str]:
        counted = [
            f"{n} {what}, the first: {self.examples[what]}." for what, n in self.counts.items()
        ]
        return [*dict.fromkeys(self.categories), *counted]

    def unlisted(self) -> list[Path]:
        """Images that no file lists, in the folders of those that are listed."""
        listed = {sample.image.resolve() for _, sample in self.rows}
        return [
            path
            for images in self.folders.values()
            if not listed.isdisjoint(resolved := [path.resolve() for path in images])
            for path, same in zip(images, resolved, strict=True)
            if same not in listed
        ]


def annotation_files(root: Path) -> list[Path]:
    """The COCO files of a data set: `root` itself, or those in it and two folders below."""
    if root.is_file():
        return [root] if root.suffix == ".json" and _is_coco(root) else []
    files = [p for pattern in ("*.json", "*/*.json", "*/*/*.json") for p in root.glob(pattern)]
    named = [p for p in files if "_annotations.coco" in p.name or p.name.startswith("instances")]
    files = named or files[:8]
    return sorted(p for p in files if not p.name.startswith(OTHERS) and _is_coco(p))


def _is_coco(path: Path) -> bool:
    try:
        text = read_text(path)
    except DatasetError:
        return False
    return all(f'"{part}"' in text for part in PARTS)


def _read(root: Path, _: Asked) -> Dataset:
    files = annotation_files(root)
    if not files:
        raise DatasetError(f"{root} has no JSON with {', '.join(PARTS)}; give the COCO file.")
    reading = _Reading(root.parent if root.is_file() else root)
    for file in files:
        _add(reading, file, len(files))
    if not reading.rows:
        raise DatasetError(
            f"none of the images that {files[0]} names are there (the first is "
            f"{reading.examples.get('images are missing and left out', 'not named')}); "
            "put them beside it or into images/."
        )
    splits, divided = arrange(reading.rows)
    overlap = "Regions of several objects have the class of the smallest one."
    name = root.stem if root.is_file() else root.name
    return Dataset(
        name=name,
        format="coco",
        label_set=make_label_set(name, reading.names),
        splits=splits,
        notes=(*reading.notes(), overlap, *divided),
        # of several files beside each other, each may list its own images
        unlabelled=() if root.is_file() else tuple(reading.unlisted()),
    )


def _add(reading: _Reading, file: Path, files: int) -> None:
    content = _parse(file)
    split = split_of(file.stem) or split_of(file.parent.name) if files > 1 else split_of(file.stem)
    annotations = defaultdict(list)
    for annotation in content["annotations"]:
        annotations[annotation.get("image_id")].append(annotation)
    classes = _classes(reading, content, file)
    drawn = 0
    for entry in content["images"]:
        rows = annotations.pop(entry["id"], [])
        image_path = _image(reading, file, entry["file_name"], split)
        if image_path is None:
            reading.count("images are missing and left out", entry["file_name"])
            continue
        shapes = [s for row in rows if (s := _shape(reading, row, classes, file))]
        drawn += len(shapes)
        size = (entry["height"], entry["width"]) if entry.get("height") else None
        name = image_path.stem
        if (split, name) in reading.taken:
            name = f"{name}-{entry['id']}"
        reading.taken.add((split, name))
        truth = _Drawn(tuple(shapes), size, file, image_path)
        reading.rows.append((split, Sample(name, image_path, file, truth)))
        if not rows:
            reading.count("images have no annotations and are all background", image_path.name)
    if content["annotations"] and not drawn and reading.rows:
        raise DatasetError(
            f"{file} has boxes or points but no outlines; export it with segmentation masks."
        )
    for image_id in annotations:
        reading.count("images are annotated but not listed", f"image_id {image_id} in {file.name}")


def _parse(file: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(read_text(file))
        for image in content["images"]:
            image.update(id=image["id"], file_name=str(image["file_name"]))
        for category in content["categories"]:
            category.update(id=category["id"], name=str(category["name"]))
        for annotation in content["annotations"]:
            annotation.setdefault("id", None)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DatasetError(f"{file} is no COCO file ({error!r}); export it again.") from error
    return content


def _classes(reading: _Reading, content: Mapping[str, Any], file: Path) -> dict[Any, int]:
    """Class ids by category id; equal names are one class, categories that group others none."""
    categories = sorted(content["categories"], key=lambda c: str(c["id"]).zfill(9))
    used = {annotation.get("category_id") for annotation in content["annotations"]}
    groups = {c.get("supercategory") for c in categories}
    classes: dict[Any, int] = {}
    first: dict[str, Any] = {}
    for category in categories:
        number, name = category["id"], clean(category["name"], category["id"])
        folded = name.casefold()
        if number not in used and number == 0 and category["name"] in groups:
            also = [c["id"] for c in categories if c["name"] == category["name"]][1:]
            twin = f" (category {also[0]} has the same name)" if also else ""
            reading.categories.append(
                f"Category 0 {name!r} only groups the others and has no outlines: "
                f"it is left out{twin}."
            )
            continue
        if folded in first:
            reading.categories.append(
                f"Categories {first[folded]} and {number} are both called {name!r}; "
                "they are taken as one."
            )
        first.setdefault(folded, number)
        classes[number] = IGNORE if is_void(name) else _class_id(reading.names, name)
    if not classes:
        raise DatasetError(f"{file} has no categories; export it with the classes.")
    return classes


def _class_id(names: list[str], name: str) -> int:
    for i, known in enumerate(names):
        if known.casefold() == name.casefold():
            return i
    names.append(name)
    if len(names) > IGNORE:
        raise DatasetError(f"{len(names)} classes are too many; {IGNORE} is the limit.")
    return len(names) - 1


def _shape(
    reading: _Reading, row: Mapping[str, Any], classes: Mapping[Any, int], file: Path
) -> Shape | None:
    where = f"annotation {row.get('id')} in {file}"
    if row.get("category_id") not in classes:
        raise DatasetError(
            f"{where} is of category {row.get('category_id')}, which is not in the list of "
            "categories; add it there or remove the annotation."
        )
    outline = row.get("segmentation")
    if isinstance(outline, list):
        polygons = [p for p in outline if isinstance(p, list) and len(p) >= 6 and not len(p) % 2]
        outline = polygons or None
    if not outline:
        reading.count("annotations have no outline and are left out", where)
        return None
    return Shape(IGNORE if row.get("iscrowd") else classes[row["category_id"]], outline, where)


def _image(reading: _Reading, file: Path, name: str, split: str) -> Path | None:
    """The image: beside the file, or the one of this name in the data set, or in the split."""
    relative = PurePosixPath(name.replace("\\", "/"))
    beside = file.parent / relative
    if beside.is_file():
        return beside
    found = reading.images.get(relative.name, [])
    same = [p for p in found if any(split_of(part) == split for part in p.parts[:-1][-3:])]
    return next(iter([*same, *found] if split else found), None)


DATASETS.register("coco")(Format(lambda root: bool(annotation_files(root)), _read))
