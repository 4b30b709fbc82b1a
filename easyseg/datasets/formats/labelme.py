"""labelme's JSON: a file for each image, with polygons, boxes, circles and masks."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.datasets.base import Dataset, Sample
from easyseg.datasets.class_names import ClassTable, clean, find_classes, make_label_set
from easyseg.datasets.formats.base import DATASETS, Format, UnrelatedFilesError
from easyseg.datasets.lookup import Lookup, Name, walk
from easyseg.datasets.options import DatasetOptions
from easyseg.datasets.pairing import image_lookup, split_of_folder
from easyseg.datasets.rasterize import Shape, draw_annotations, drawing_size
from easyseg.datasets.split_lists import find_lists, read_lists
from easyseg.datasets.splits import make_dataset
from easyseg.datasets.values import entries, numbers, read_json, read_text, text
from easyseg.errors import DatasetError, ImageError
from easyseg.io.open_image import open_image, pixel_limit
from easyseg.utils.files import real_path

FIRST = 8  # files that are read to tell whether they are labelme's
CORNERS = 64  # of a circle, which is drawn as a polygon
AREAS = ("polygon", "rectangle", "rotation", "oriented_rectangle", "circle", "mask")
"""Shape types that have an area; two of them are what others call a rectangle."""


@dataclasses.dataclass(frozen=True)
class _DrawnMask:
    """Draws the mask of one image. It is a `Sample.mask_reader`."""

    path: Path
    image: Path
    classes: Mapping[str, int]

    def __call__(self, size: tuple[int, int]) -> np.ndarray:
        """`(H, W) uint8` class ids for an image of `(height, width)` pixels."""
        content = _parse(self.path)
        height, width = content.get("imageHeight"), content.get("imageWidth")
        drawn = drawing_size(height, width, size, file=self.path, image=self.image)
        shapes = []
        for number, entry in enumerate(content["shapes"], 1):
            where = f"shape {number} of {self.path}"
            segmentation = _segmentation(entry, drawn, where)
            if segmentation is not None:
                shapes.append(Shape(self.classes[entry["label"]], segmentation, where))
        return draw_annotations(shapes, drawn, size, file=self.path, image=self.image)


@dataclasses.dataclass(frozen=True)
class _EmbeddedImage:
    """The bytes of the image that labelme keeps in its JSON. It is a `Sample.embedded_image`."""

    path: Path

    def __call__(self) -> bytes:
        content = _parse(self.path)
        try:  # after `data:image/png;base64,`
            return base64.b64decode(content["imageData"].rpartition(",")[2])
        except (ValueError, LookupError, AttributeError) as error:
            raise DatasetError(
                f"the imageData of {self.path} is damaged ({error}); put the image beside it."
            ) from error


def _kind(entry: Mapping[str, Any]) -> str:
    """The shape's type; a polygon of one or two points is a point or a line."""
    kind, points = entry["shape_type"], entry.get("points")
    few = kind == "polygon" and isinstance(points, list) and len(points) < 3
    return "polygon of fewer than 3 points" if few else kind


def _segmentation(entry: Mapping[str, Any], size: tuple[int, int], where: str) -> Any:
    """Polygons or run lengths; `None` of lines and points, which have no area."""
    kind = entry["shape_type"]
    if kind not in AREAS:
        return None
    points = numbers(entry.get("points"), where)
    if points.ndim != 2 or points.shape[1] != 2:
        raise DatasetError(f"{where} has points that are not pairs x, y; draw it again in labelme.")
    if kind == "mask":
        return _full_size_mask(entry.get("mask"), points, size, where)
    if kind == "circle" and len(points) == 2:
        angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
        radius = np.linalg.norm(points[1] - points[0])
        points = points[0] + radius * np.stack([np.cos(angle), np.sin(angle)], 1)
    elif kind == "rectangle" and len(points) == 2:
        (x0, y0), (x1, y1) = points
        points = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    elif kind == "circle" or (kind == "rectangle" and len(points) != 4):
        raise DatasetError(
            f"{where} is a {kind} of {len(points)} points; draw it again in labelme."
        )
    return [points] if len(points) >= 3 else None


def _full_size_mask(
    encoded: Any, points: np.ndarray, size: tuple[int, int], where: str
) -> dict[str, Any]:
    """Labelme's mask, a PNG in base64 whose upper left corner is the first point: run lengths."""
    height, width = size
    try:
        png = base64.b64decode(encoded)
        limit = max(pixel_limit(), height * width)
        with open_image(io.BytesIO(png), "its PNG", max_pixels=limit) as image:
            if image.width > width or image.height > height:  # before it is decoded
                raise DatasetError(f"its mask has {image.width}x{image.height} pixels")
            part = np.asarray(image.convert("1"))
        x, y = np.rint(points[0]).astype(int)
    except (ImageError, ValueError, TypeError, IndexError) as error:
        raise DatasetError(
            f"{where} cannot be read ({error}); draw it again in labelme."
        ) from error
    # positions in the image, column after column
    columns, rows = np.nonzero(part.T)
    columns, rows = columns + x, rows + y
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    positions = columns[inside] * height + rows[inside]
    edges = np.flatnonzero(np.diff(positions, prepend=-2) != 1)
    starts, lengths = positions[edges], np.diff(edges, append=len(positions))
    bounds = np.stack([starts, starts + lengths], 1).ravel()
    runs = np.diff(bounds, prepend=0, append=height * width)
    return {"size": [height, width], "counts": runs.tolist()}


def _parse(path: Path) -> dict[str, Any]:
    """The file's content, its shapes with a clean label and a type."""
    content: dict[str, Any] = read_json(path)
    shapes = []
    for number, entry in enumerate(entries(content, "shapes", path), 1):
        where = f"of shape {number} in {path}"
        label = clean(text(entry.get("label") or "", f"the label {where}"), 0)
        kind = text(entry.get("shape_type") or "polygon", f"the shape_type {where}")
        shapes.append({**entry, "label": label, "shape_type": kind})
    return {**content, "shapes": shapes}


def _files(root: Path) -> list[Path]:
    return sorted(path for _, files in walk(root, (".json",)) for path in files)


def _detect(root: Path) -> bool:
    errors = []
    for path in _files(root)[:FIRST] if root.is_dir() else ():
        try:
            if all(f'"{part}"' in read_text(path) for part in ("shapes", "imagePath")):
                _parse(path)
                return True
        except DatasetError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return False


def _read(root: Path, _: DatasetOptions) -> Dataset:
    contents: list[tuple[Path, str]] = []
    embedded: set[Path] = set()
    errors: list[DatasetError] = []
    labels: set[str] = set()
    types: Counter[str] = Counter()
    for path in _files(root):
        try:
            content = _parse(path)
        except DatasetError as error:
            errors.append(error)
            continue
        labels.update(entry["label"] for entry in content["shapes"])
        types.update(map(_kind, content["shapes"]))
        contents.append((path, str(content.get("imagePath") or "")))
        embedded |= {path} if content.get("imageData") else set()
    lookup = image_lookup(root)
    images = dict.fromkeys(embedded) | _images(lookup, contents)
    pairs = [(path, images[path] or path) for path, _ in contents if path in images]
    missing = [path for path, _ in contents if path not in images]
    if not (pairs or errors or missing):
        raise DatasetError(
            f"{root} has no labelme files (.json with shapes). Give the folder they are in, or "
            "leave out the format to have it detected."
        )
    if not pairs:
        raise next(iter(errors), None) or UnrelatedFilesError(
            f"{root} has labelme files, but not their images (the first is {missing[0].name}); "
            "put the images beside them."
        )
    notes = ["Where objects overlap, the smallest is on top."]
    notes += [f"{n} shapes of type {t!r} have no area and are left out."
              for t, n in types.items() if t not in AREAS]  # fmt: skip
    if errors:
        notes.append(f"{len(errors)} files are left out, the first: {errors[0]}")
    table = ClassTable()
    # the order of labels.txt, if there is one
    listed = [clean(c.name, i) for i, c in enumerate(find_classes(root)[0])]
    names = list(dict.fromkeys([*listed, *sorted(labels)]))
    classes = dict(zip(names, table.add(names), strict=True))
    notes += table.notes
    listed_images = read_lists(find_lists(root), lookup, lookup, strict=False)
    samples = listed_images.sort(
        (split, image, sample)
        for path, image in pairs
        for split, sample in [_sample(root, path, image, classes)]
    )
    used = {real_path(image) for _, image in pairs}
    return make_dataset(
        root.name,
        make_label_set(root.name, table.names),
        samples,
        notes=[*notes, *listed_images.notes],
        images_without_mask=[p for p in lookup.paths if real_path(p) not in used],
        masks_without_image=missing,
    )


def _images(lookup: Lookup, contents: Sequence[tuple[Path, str]]) -> dict[Path, Path | None]:
    """The image of each file: the one that it names, else the one of its own name."""
    named = lookup.find_all([Name(image, file) for file, image in contents])
    images: dict[Path, Path | None] = {
        file: path for (file, _), path in zip(contents, named, strict=True) if path
    }
    others = [file for file, _ in contents if file not in images]
    paths = lookup.find_all([Name(file.stem, file) for file in others])
    taken = set(images.values())
    return images | {f: p for f, p in zip(others, paths, strict=True) if p and p not in taken}


def _sample(root: Path, path: Path, image: Path, classes: Mapping[str, int]) -> tuple[str, Sample]:
    relative = path.relative_to(root)
    split = split_of_folder(relative.parent)
    if not split and image.is_relative_to(root):
        split = split_of_folder(image.relative_to(root).parent)
    name = relative.with_suffix("").as_posix()
    embedded = _EmbeddedImage(path) if image == path else None
    return split, Sample(name, image, path, _DrawnMask(path, image, classes), embedded)


DATASETS.register("labelme")(Format(_detect, _read))
