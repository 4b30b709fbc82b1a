"""labelme's JSON: a file for each image, with polygons, boxes, circles and masks."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from easyseg.datasets.base import IGNORE, Dataset, Sample
from easyseg.datasets.class_names import (
    BACKGROUND,
    BACKGROUNDS,
    clean,
    find_names,
    is_void,
    make_label_set,
    read_text,
)
from easyseg.datasets.formats.base import DATASETS, Asked, Format
from easyseg.datasets.mask_files import fit_mask
from easyseg.datasets.pairing import image_folders, split_of
from easyseg.datasets.rasterize import Shape, draw_shapes
from easyseg.datasets.splits import arrange
from easyseg.errors import DatasetError

__all__: list[str] = []

THREADS = 4
CORNERS = 64  # of a circle, which is drawn as a polygon
PATTERNS = ("*.json", "*/*.json", "*/*/*.json")


@dataclasses.dataclass(frozen=True)
class _Drawn:
    """Draws the truth of one image. It is a `Sample.mask_reader`."""

    path: Path
    image: Path
    classes: Mapping[str, int]

    def __call__(self, size: tuple[int, int]) -> np.ndarray:
        """`(H, W) uint8` class ids for an image of `(height, width)` pixels."""
        content = _parse(self.path)
        own = (content.get("imageHeight") or size[0], content.get("imageWidth") or size[1])
        shapes = []
        for number, row in enumerate(content["shapes"], 1):
            where = f"shape {number} of {self.path}"
            outline = _outline(row, own, where)
            if outline is not None:
                shapes.append(Shape(self.classes[_label(row)], outline, where))
        return fit_mask(draw_shapes(shapes, own), size, mask=self.path, image=self.image)


def _outline(row: Mapping[str, Any], size: tuple[int, int], where: str) -> Any:
    """Polygons or run lengths; `None` of lines and points, which have no area."""
    kind = row.get("shape_type") or "polygon"
    try:
        points = np.array(row["points"], float).reshape(-1, 2)
        if kind == "rectangle":
            (x0, y0), (x1, y1) = points
            points = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        elif kind == "circle":
            angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
            radius = np.linalg.norm(points[1] - points[0])
            points = points[0] + radius * np.stack([np.cos(angle), np.sin(angle)], 1)
        elif kind == "mask":
            return _placed(row["mask"], points, size)
        elif kind != "polygon":
            return None
    except (ValueError, TypeError, KeyError, IndexError, OSError) as error:
        raise DatasetError(f"{where} is damaged ({error!r}); draw it again in labelme.") from error
    return [points.ravel().tolist()] if len(points) >= 3 else None


def _placed(encoded: str, points: np.ndarray, size: tuple[int, int]) -> dict[str, Any]:
    """Labelme's mask: a PNG in base64, which covers the box of its two points."""
    from PIL import Image  # noqa: PLC0415
    from pycocotools import mask as coco_mask  # noqa: PLC0415

    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        part = np.asarray(image.convert("1"))
    x, y = np.rint(points[0]).astype(int)
    whole = np.zeros(size, np.uint8, order="F")
    there = whole[y : y + part.shape[0], x : x + part.shape[1]]
    there[:] = part[: there.shape[0], : there.shape[1]]
    return coco_mask.encode(whole)


def _label(row: Mapping[str, Any]) -> str:
    return clean(row.get("label", ""), 0)


def _parse(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_text(path))
        content["shapes"] = [dict(row) for row in content["shapes"]]
    except (ValueError, TypeError, KeyError) as error:
        raise DatasetError(f"{path} is no labelme file ({error!r}); remove it.") from error
    return content


def _files(root: Path) -> list[Path]:
    return sorted({path for pattern in PATTERNS for path in root.glob(pattern)})


def _recognise(root: Path) -> bool:
    return root.is_dir() and any(
        all(f'"{part}"' in read_text(path) for part in ("shapes", "imagePath"))
        for path in _files(root)[:3]
    )


def _summary(path: Path) -> tuple[list[str], str, Counter[str]] | DatasetError:
    """Labels, the image's path, and the kinds of shapes that have no area."""
    try:
        content = _parse(path)
    except DatasetError as error:
        return error
    kinds = Counter(str(row.get("shape_type")) for row in content["shapes"]
                    if (row.get("shape_type") or "polygon") not in
                    ("polygon", "rectangle", "circle", "mask"))  # fmt: skip
    labels = [_label(row) for row in content["shapes"]]
    return labels, str(content.get("imagePath") or ""), kinds


def _read(root: Path, _: Asked) -> Dataset:
    files = _files(root)
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(zip(files, pool.map(_summary, files), strict=True))
    images = {p for group in image_folders(root).values() for p in group}
    by_stem = {p.with_suffix(""): p for p in sorted(images)}
    labels: set[str] = set()
    lines: Counter[str] = Counter()
    missing: list[Path] = []
    bad: list[DatasetError] = []
    rows = []
    places: list[tuple[Path, Path]] = []
    for path, summary in found:
        if isinstance(summary, DatasetError):
            bad.append(summary)
            continue
        labels.update(summary[0])
        lines.update(summary[2])
        beside = path.parent / PurePosixPath(summary[1].replace("\\", "/"))
        image = beside if summary[1] and beside.is_file() else by_stem.get(path.with_suffix(""))
        if image is None:
            missing.append(path)
        else:
            places.append((path, image))
    if not places:
        raise (
            bad[0]
            if bad
            else DatasetError(
                f"{root} has labelme files, but not their images (the first is {missing[0].name}); "
                "put the images beside them."
            )
        )
    names, classes = _classes(root, labels)
    for path, image in places:
        split = next((s for part in path.relative_to(root).parts[:-1] if (s := split_of(part))), "")
        name = path.relative_to(root).with_suffix("").as_posix()
        rows.append((split, Sample(name, image, path, _Drawn(path, image, classes))))
    splits, divided = arrange(rows)
    notes = ["Regions of several objects have the class of the smallest one."]
    notes += [f"{n} shapes of kind {kind!r} have no area and are left out."
              for kind, n in lines.items()]  # fmt: skip
    if bad:
        notes.append(f"{len(bad)} files cannot be read and are left out, the first: {bad[0]}")
    used = {image.resolve() for _, image in places}
    return Dataset(
        name=root.name,
        format="labelme",
        label_set=make_label_set(root.name, names),
        splits=splits,
        notes=(*notes, *divided),
        unlabelled=tuple(p for p in sorted(images) if p.resolve() not in used),
        orphans=tuple(missing),
    )


def _classes(root: Path, labels: set[str]) -> tuple[list[str], dict[str, int]]:
    """Names of the classes, background first, and class ids by label: the order of labels.txt."""
    listed = [clean(c.name, i) for i, c in enumerate(find_names(root)[0])]
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
        raise DatasetError(f"{root} has {len(names)} classes; {IGNORE} is the limit.")
    return names, classes


DATASETS.register("labelme")(Format(_recognise, _read))
