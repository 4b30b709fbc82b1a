"""COCO JSON: polygons and run lengths, one file or one for each split, as Roboflow exports them."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.datasets.base import IGNORE, Dataset, Sample
from easyseg.datasets.class_names import ClassTable, clean, make_label_set
from easyseg.datasets.formats.base import DATASETS, Format, UnrelatedFilesError
from easyseg.datasets.lookup import Name, image_folders, short, walk
from easyseg.datasets.options import DatasetOptions
from easyseg.datasets.pairing import home_of, image_lookup, split_of, split_of_folder
from easyseg.datasets.rasterize import NO_OUTLINE, Shape, draw_annotations, drawing_size
from easyseg.datasets.split_lists import find_lists, read_lists
from easyseg.datasets.splits import make_dataset
from easyseg.datasets.values import (
    entries,
    id_of,
    read_json,
    read_text,
    shown,
    text,
    whole_number,
)
from easyseg.errors import DatasetError
from easyseg.utils.files import real_path

FIRST = 8  # files that are read to tell whether they are COCO's
PARTS = ("images", "annotations", "categories")
MISSING = "missing images, left out"
FEW_CORNERS = "parts of outlines with fewer than 3 whole corners, left out"
OTHER_FILES = ("person_keypoints", "captions", "panoptic", "stuff", "image_info")  # of COCO itself


@dataclasses.dataclass
class _Image:
    """What all files say of an image. It is the `Sample.mask_reader`."""

    path: Path
    name: str
    split: str
    size: tuple[Any, Any]  # height and width, as the file has them
    file: Path
    shapes: list[Shape]

    def __call__(self, size: tuple[int, int]) -> np.ndarray:
        """`(H, W) uint8` class ids for an image of `(height, width)` pixels."""
        drawn = drawing_size(*self.size, size, file=self.file, image=self.path)
        return draw_annotations(self.shapes, drawn, size, file=self.file, image=self.path)


class _Contents:
    """What the files of a data set have held so far."""

    def __init__(self) -> None:
        self.classes = ClassTable()
        self.images: dict[Path, _Image] = {}
        self.names_used: set[tuple[str, str]] = set()
        self.examples: dict[str, list[str]] = defaultdict(list)  # of what is counted in the notes
        self.category_notes: list[str] = []

    def notes(self) -> list[str]:
        """What was assumed, merged or left out."""
        counted = [f"{what}: {len(e)}, such as {e[0]}." for what, e in self.examples.items()]
        return [*dict.fromkeys([*self.category_notes, *self.classes.notes]), *counted]

    def unlisted(self, home: Path) -> list[Path]:
        """Images that no file lists, in the folders of those that are listed."""
        listed = {real_path(path) for path in self.images}
        folders = ({path: real_path(path) for path in i} for i in image_folders(home).values())
        return [
            path
            for resolved in folders
            if not listed.isdisjoint(resolved.values())
            for path, same in resolved.items()
            if same not in listed
        ]


def _annotation_files(root: Path) -> list[Path]:
    """The COCO files of a data set: `root` itself, or those below it."""
    if root.is_file():
        return [root] if root.suffix.lower() == ".json" and _likeness(root) else []
    files = [path for _, files in walk(root, (".json",)) for path in files]
    named = [p for p in files if "_annotations.coco" in p.name or p.name.startswith("instances")]
    files = sorted(p for p in named or files if not p.name.startswith(OTHER_FILES))
    if not any(map(_likeness, files[:FIRST])):
        return []
    likeness = [_likeness(path) for path in files]
    best = max(likeness)
    return [path for path, each in zip(files, likeness, strict=True) if each == best]


def _likeness(path: Path) -> int:
    """2 for a file with COCO's lists, 1 for one that only names them, else 0."""
    try:
        text = read_text(path)
    except DatasetError:
        return 0
    if not all(f'"{part}"' in text for part in PARTS):
        return 0
    return 1 + all(re.search(rf'"{part}"\s*:\s*\[', text) for part in PARTS)


def _detect(root: Path) -> bool:
    files = _annotation_files(root)
    if files and _likeness(files[0]) == 1:
        _parse(files[0])  # says what is wrong with it
    return bool(files)


def _read(root: Path, _: DatasetOptions) -> Dataset:
    files = _annotation_files(root)
    if not files:
        raise DatasetError(f"{root} has no JSON with {', '.join(PARTS)}; give the COCO file.")
    home = home_of(root)
    contents = _Contents()
    parsed = [(file, _parse(file), _split(file, home, len(files))) for file in files]
    names = [
        Name(entry["file_name"], file, split)
        for file, content, split in parsed
        for entry in content["images"]
    ]
    if not names:
        raise UnrelatedFilesError(f"{files[0]} lists no images; export it with its images.")
    lookup = image_lookup(home)
    paths = iter(lookup.find_all(names))
    for file, content, split in parsed:
        _add(contents, file, content, split, paths)
    if not contents.images:
        raise UnrelatedFilesError(
            f"none of the images listed in {files[0]} exist (the first is "
            f"{next(iter(contents.examples[MISSING]), 'not named')}); "
            "put them beside it or into images/."
        )
    notes = contents.notes()
    samples = [(i.split, Sample(i.name, i.path, i.file, i)) for i in contents.images.values()]
    if not any(split for split, _ in samples):
        listed = read_lists(find_lists(home), lookup, lookup, strict=False)
        samples = listed.sort((split, sample.image, sample) for split, sample in samples)
        notes += listed.notes
    if not any(split for split, _ in samples):  # one file for the folders of all splits
        folders = {
            s.image.parent: split_of_folder(_below(s.image.parent, home)) for _, s in samples
        }
        if "train" in folders.values() and len({*folders.values()}) > 1:
            samples = [(folders[sample.image.parent], sample) for _, sample in samples]
    name = root.stem if root.is_file() else root.name
    return make_dataset(
        name,
        make_label_set(name, contents.classes.names),
        samples,
        notes=[*notes, "Where objects overlap, the smallest is on top."],
        # several files beside each other may list images of their own
        images_without_mask=() if root.is_file() else contents.unlisted(home),
    )


def _below(folder: Path, home: Path) -> Path:
    """The folder from `home`; that itself of folders elsewhere, whose names mean nothing."""
    return folder.relative_to(home) if folder.is_relative_to(home) else Path()


def _split(file: Path, home: Path, files: int) -> str:
    """The split that the file is for: its name says it, or the folder of one of several."""
    folder = split_of_folder(file.relative_to(home).parent) if files > 1 else ""
    return split_of(file.stem) or folder


def _add(
    contents: _Contents,
    file: Path,
    content: Mapping[str, Any],
    split: str,
    paths: Iterator[Path | None],
) -> None:
    """Adds the images of a file; `paths` gives theirs."""
    annotations = defaultdict(list)
    for annotation in content["annotations"]:
        annotations[annotation["image_id"]].append(annotation)
    classes = _classes(contents, content, file)
    drawn = annotated = 0
    for entry in content["images"]:
        objects = annotations.pop(entry["id"], [])
        path = next(paths)
        if path is None:
            contents.examples[MISSING].append(short(entry["file_name"]))
            continue
        shapes = [s for item in objects if (s := _shape(contents, item, classes, file))]
        drawn += len(shapes)
        annotated += bool(objects)
        size = entry.get("height"), entry.get("width")
        image = _Image(path, path.stem, split, size, file, shapes)
        if path in contents.images:
            _merge(contents, image)
            continue
        if (split, image.name) in contents.names_used:
            image.name = f"{image.name}-{entry['id']}"
        contents.names_used.add((split, image.name))
        contents.images[path] = image
        if not objects:
            contents.examples["images without annotations, all background"].append(path.name)
    if annotated and not drawn:
        raise DatasetError(
            f"{file} has boxes or points but no polygons or masks; export it with segmentation."
        )
    for image_id in annotations:
        example = f"image_id {image_id} in {file.name}"
        contents.examples["annotations of images that are not listed"].append(example)


def _merge(contents: _Contents, again: _Image) -> None:
    """Adds what another file, or another entry, says of an image."""
    path, image = again.path, contents.images[again.path]
    if again.split and image.split and again.split != image.split:
        raise DatasetError(
            f"{path} is in two splits: {image.file} lists it for {image.split}, {again.file} for "
            f"{again.split}; remove it from one of the two."
        )
    if None not in (*image.size, *again.size) and str(again.size) != str(image.size):
        raise DatasetError(
            f"{path} has two sizes, in {image.file} and in {again.file}; correct one of the two."
        )
    image.split = image.split or again.split
    image.shapes += again.shapes
    contents.examples["images listed again, whose annotations are merged"].append(path.name)


def _parse(file: Path) -> dict[str, Any]:
    """The file's content; ids are whole numbers or text, names are text."""
    content: dict[str, Any] = read_json(file)
    names: dict[int | str, str] = {}
    for number, image in enumerate(entries(content, "images", file), 1):
        where = f"of image {number} in {file}"
        image["id"] = id_of(image.get("id"), f"the id {where}")
        image["file_name"] = text(image.get("file_name"), f"the file_name {where}")
        first = names.setdefault(image["id"], image["file_name"])
        if first != image["file_name"]:
            raise DatasetError(
                f"{file} has two images of id {image['id']}, {first} and {image['file_name']}; "
                "give each its own."
            )
    for number, category in enumerate(entries(content, "categories", file), 1):
        where = f"of category {number} in {file}"
        category["id"] = id_of(category.get("id"), f"the id {where}")
        category["name"] = clean(text(category.get("name"), f"the name {where}"), category["id"])
    for annotation in entries(content, "annotations", file):
        where = f"of annotation {shown(annotation.get('id'))} in {file}"
        for key in ("image_id", "category_id"):
            annotation[key] = id_of(annotation.get(key), f"the {key} {where}")
    return content


def _classes(contents: _Contents, content: Mapping[str, Any], file: Path) -> dict[int | str, int]:
    """Class ids by category id; equal names are one class, grouping categories are none."""
    categories = sorted(content["categories"], key=lambda c: str(c["id"]).zfill(9))
    by_id = {c["id"]: c for c in categories}
    if len(by_id) < len(categories):
        (repeated, _), *_ = Counter(c["id"] for c in categories).most_common(1)
        raise DatasetError(f"{file} has several categories of id {repeated}; give each its own.")
    used = {annotation["category_id"] for annotation in content["annotations"]}
    groups = {c["supercategory"] for c in categories if isinstance(c.get("supercategory"), str)}
    if 0 in by_id and 0 not in used and by_id[0]["name"] in groups:
        name = by_id.pop(0)["name"]
        also = [number for number, c in by_id.items() if c["name"] == name]
        twin = f" (category {also[0]} has the same name)" if also else ""
        contents.category_notes.append(
            f"Category 0 {name!r} only groups the others and has no objects: it is left out{twin}."
        )
    if not by_id:
        raise DatasetError(f"{file} has no categories; export it with the classes.")
    ids = contents.classes.add(c["name"] for c in by_id.values())
    return dict(zip(by_id, ids, strict=True))


def _shape(
    contents: _Contents, item: Mapping[str, Any], classes: Mapping[int | str, int], file: Path
) -> Shape | None:
    where = f"annotation {shown(item.get('id'))} in {file}"
    if item["category_id"] not in classes:
        raise DatasetError(
            f"{where} is of category {item['category_id']}, which is not in the list of "
            "categories; add it there or remove the annotation."
        )
    segmentation = item.get("segmentation")
    if isinstance(segmentation, list):
        parts = _parts(segmentation, where)
        segmentation = [p for p in parts if _are_corners(p) or (len(p) >= 6 and not len(p) % 2)]
        if 0 < len(segmentation) < len(parts):
            contents.examples[FEW_CORNERS].append(where)
    elif not isinstance(segmentation, dict | None):
        raise DatasetError(
            f"the segmentation of {where} is {shown(segmentation)}; give polygons or run lengths."
        )
    if not segmentation:
        contents.examples[NO_OUTLINE].append(where)
        return None
    is_crowd = whole_number(item.get("iscrowd") or 0, f"the iscrowd of {where}")
    return Shape(IGNORE if is_crowd else classes[item["category_id"]], segmentation, where)


def _parts(segmentation: list[Any], where: str) -> list[list[Any]]:
    """The polygons, `[x, y, ...]` or `[[x, y], ...]`; one may stand alone."""
    if not any(isinstance(part, list) for part in segmentation) or _are_corners(segmentation):
        return [segmentation]
    if not all(isinstance(part, list) for part in segmentation):
        raise DatasetError(
            f"{where} mixes polygons and numbers; give a list of polygons, or remove it."
        )
    return segmentation


def _are_corners(part: list[Any]) -> bool:
    return len(part) >= 3 and all(isinstance(p, list) and len(p) == 2 for p in part)


DATASETS.register("coco")(Format(_detect, _read))
