"""labelme's JSON: a file for each image, with polygons, boxes, circles and masks."""

from __future__ import annotations

import base64
import dataclasses
import io
import os
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.datasets.base import Dataset, Sample
from easyseg.datasets.class_names import ClassTable, clean, find_classes, make_label_set
from easyseg.datasets.formats.base import DATASETS, Format
from easyseg.datasets.options import DatasetOptions
from easyseg.datasets.pairing import image_folders, split_of
from easyseg.datasets.rasterize import Shape, draw_annotations, drawing_size
from easyseg.datasets.splits import make_dataset
from easyseg.datasets.values import entries, numbers, read_json, read_text, text
from easyseg.errors import DatasetError, ImageError
from easyseg.io.open_image import image_errors, open_image

CORNERS = 64  # of a circle, which is drawn as a polygon
AREAS = ("polygon", "rectangle", "circle", "mask")  # shape types that have an area
PATTERNS = ("*.json", "*/*.json", "*/*/*.json")


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
        try:
            encoded = _parse(self.path)["imageData"]
            return base64.b64decode(encoded.rpartition(",")[2])  # after `data:image/png;base64,`
        except (ValueError, LookupError, AttributeError) as error:
            if isinstance(error, DatasetError):
                raise
            raise DatasetError(
                f"the imageData of {self.path} is damaged ({error}); put the image beside it."
            ) from error


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
        sides = struct.unpack(">II", png[16:24])  # of the header, before anything is decoded
        if sides[0] > width or sides[1] > height:
            raise ValueError(f"its mask has {sides[0]}x{sides[1]} pixels")  # noqa: TRY301
        with open_image(io.BytesIO(png), "its PNG") as image, image_errors("its PNG"):
            part = np.asarray(image.convert("1"))
        x, y = np.rint(points[0]).astype(int)
    except (ImageError, ValueError, TypeError, IndexError, struct.error) as error:
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
    return sorted({path for pattern in PATTERNS for path in root.glob(pattern)})


def _detect(root: Path) -> bool:
    return root.is_dir() and any(
        all(f'"{part}"' in read_text(path) for part in ("shapes", "imagePath"))
        for path in _files(root)[:3]
    )


def _read(root: Path, _: DatasetOptions) -> Dataset:
    images = sorted({p for paths in image_folders(root).values() for p in paths})
    by_stem = {p.with_suffix(""): p for p in images}
    pairs: list[tuple[Path, Path]] = []
    missing: list[Path] = []
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
        types.update(entry["shape_type"] for entry in content["shapes"])
        beside = path.parent / str(content.get("imagePath") or "").replace("\\", "/")
        is_there = os.path.isfile(beside)  # noqa: PTH113  (False for impossible names)
        image = beside if is_there else by_stem.get(path.with_suffix(""))
        if image or content.get("imageData"):
            pairs.append((path, image or path))
        else:
            missing.append(path)
    if not (pairs or errors or missing):
        raise DatasetError(
            f"{root} has no labelme files (.json with shapes). Give the folder they are in, or "
            "leave out the format to have it detected."
        )
    if not pairs:
        raise next(iter(errors), None) or DatasetError(
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
    used = {image.resolve() for _, image in pairs}
    return make_dataset(
        root.name,
        make_label_set(root.name, table.names),
        [_sample(root, path, image, classes) for path, image in pairs],
        notes=notes,
        images_without_mask=[p for p in images if p.resolve() not in used],
        masks_without_image=missing,
    )


def _sample(root: Path, path: Path, image: Path, classes: Mapping[str, int]) -> tuple[str, Sample]:
    relative = path.relative_to(root)
    split = next((s for part in relative.parts[:-1] if (s := split_of(part))), "")
    name = relative.with_suffix("").as_posix()
    embedded = _EmbeddedImage(path) if image == path else None
    return split, Sample(name, image, path, _DrawnMask(path, image, classes), embedded)


DATASETS.register("labelme")(Format(_detect, _read))
