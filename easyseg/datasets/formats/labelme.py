"""labelme's JSON: a file for each image, with polygons, boxes, circles and masks."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.datasets.base import IGNORE, Dataset, Sample
from easyseg.datasets.class_names import (
    BACKGROUND,
    BACKGROUNDS,
    clean,
    find_classes,
    is_void,
    make_label_set,
    read_text,
)
from easyseg.datasets.formats.base import DATASETS, Format
from easyseg.datasets.mask_files import fit_mask
from easyseg.datasets.options import DatasetOptions
from easyseg.datasets.pairing import image_folders, split_of
from easyseg.datasets.rasterize import Shape, draw_shapes
from easyseg.datasets.splits import make_dataset
from easyseg.errors import DatasetError

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
        drawn_size = (content.get("imageHeight") or size[0], content.get("imageWidth") or size[1])
        shapes = []
        for number, entry in enumerate(content["shapes"], 1):
            where = f"shape {number} of {self.path}"
            segmentation = _segmentation(entry, drawn_size, where)
            if segmentation is not None:
                shapes.append(Shape(self.classes[_label(entry)], segmentation, where))
        return fit_mask(draw_shapes(shapes, drawn_size), size, mask=self.path, image=self.image)


def _segmentation(entry: Mapping[str, Any], size: tuple[int, int], where: str) -> Any:
    """Polygons or run lengths; `None` of lines and points, which have no area."""
    kind = entry.get("shape_type") or "polygon"
    try:
        points = np.array(entry["points"], float).reshape(-1, 2)
        if kind == "rectangle":
            (x0, y0), (x1, y1) = points
            points = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        elif kind == "circle":
            angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
            radius = np.linalg.norm(points[1] - points[0])
            points = points[0] + radius * np.stack([np.cos(angle), np.sin(angle)], 1)
        elif kind == "mask":
            return _full_size_mask(entry["mask"], points, size)
        elif kind != "polygon":
            return None
    except (ValueError, TypeError, KeyError, IndexError, OSError) as error:
        raise DatasetError(
            f"{where} cannot be parsed ({error!r}); draw it again in labelme."
        ) from error
    return [points.ravel().tolist()] if len(points) >= 3 else None


def _full_size_mask(encoded: str, points: np.ndarray, size: tuple[int, int]) -> dict[str, Any]:
    """Labelme's mask (a PNG in base64 that covers the box of two points), as run lengths."""
    from PIL import Image  # noqa: PLC0415
    from pycocotools import mask as coco_mask  # noqa: PLC0415

    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        part = np.asarray(image.convert("1"))
    x, y = np.rint(points[0]).astype(int)
    whole = np.zeros(size, np.uint8, order="F")
    box = whole[y : y + part.shape[0], x : x + part.shape[1]]
    box[:] = part[: box.shape[0], : box.shape[1]]
    return coco_mask.encode(whole)


def _label(entry: Mapping[str, Any]) -> str:
    return clean(entry.get("label", ""), 0)


def _parse(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_text(path))
        content["shapes"] = [dict(entry) for entry in content["shapes"]]
    except (ValueError, TypeError, KeyError) as error:
        raise DatasetError(f"{path} is not a labelme file ({error!r}); remove it.") from error
    return content


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
        labels.update(map(_label, content["shapes"]))
        types.update(str(entry.get("shape_type") or "polygon") for entry in content["shapes"])
        beside = path.parent / str(content.get("imagePath") or "").replace("\\", "/")
        image = beside if beside.is_file() else by_stem.get(path.with_suffix(""))
        if image:
            pairs.append((path, image))
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
    names, classes = _classes(root, labels)
    used = {image.resolve() for _, image in pairs}
    return make_dataset(
        root.name,
        make_label_set(root.name, names),
        [_sample(root, path, image, classes) for path, image in pairs],
        notes=notes,
        images_without_mask=[p for p in images if p.resolve() not in used],
        masks_without_image=missing,
    )


def _sample(root: Path, path: Path, image: Path, classes: Mapping[str, int]) -> tuple[str, Sample]:
    relative = path.relative_to(root)
    split = next((s for part in relative.parts[:-1] if (s := split_of(part))), "")
    name = relative.with_suffix("").as_posix()
    return split, Sample(name, image, path, _DrawnMask(path, image, classes))


def _classes(root: Path, labels: set[str]) -> tuple[list[str], dict[str, int]]:
    """Names of the classes, background first, and class ids by label: the order of labels.txt."""
    listed = [clean(c.name, i) for i, c in enumerate(find_classes(root)[0])]
    names, classes = [BACKGROUND], {}
    for label in dict.fromkeys([*listed, *sorted(labels)]):
        if is_void(label):
            classes[label] = IGNORE
        elif label.casefold() in BACKGROUNDS:
            classes[label] = 0
        else:
            classes[label] = len(names)
            names.append(label)
    if len(names) > IGNORE:
        raise DatasetError(f"{root} has {len(names)} classes; use at most {IGNORE} labels.")
    return names, classes


DATASETS.register("labelme")(Format(_detect, _read))
