"""Polygons and run lengths -> class ids, rasterized by pycocotools as COCO's own tools do."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from easyseg.datasets.base import IGNORE
from easyseg.errors import DatasetError

__all__ = ["Shape", "as_rle", "draw_shapes"]

MAX_DISTANCE = 4  # image sizes; corners further away are not in pixels


@dataclasses.dataclass(frozen=True)
class Shape:
    """A region of one class.

    Args:
        class_id: Its class, or `IGNORE`.
        segmentation: Polygons `[x, y, x, y, ...]` in pixels, or COCO's `{"size", "counts"}`.
        where: File and entry, for messages.
    """

    class_id: int
    segmentation: Sequence[Sequence[float]] | dict[str, Any]
    where: str


def draw_shapes(shapes: Sequence[Shape], size: tuple[int, int]) -> np.ndarray:
    """Class ids; where shapes overlap the smallest is on top, ignored ones are at the bottom.

    Args:
        shapes: What to draw.
        size: `(height, width)` in pixels.

    Returns:
        `(H, W) uint8`: class ids, 0 where there is no shape.

    Raises:
        DatasetError: A shape that cannot be drawn.
    """
    out = np.zeros(size, np.uint8, order="F")  # as pycocotools decodes
    rles = [as_rle(shape, size) for shape in shapes]
    areas = coco_mask.area(rles) if rles else []
    order = sorted(range(len(shapes)), key=lambda i: (shapes[i].class_id != IGNORE, -int(areas[i])))
    for i in order:
        np.copyto(out, np.uint8(shapes[i].class_id), where=coco_mask.decode(rles[i]).view(bool))
    return np.ascontiguousarray(out)


def as_rle(shape: Shape, size: tuple[int, int]) -> dict[str, Any]:
    """The shape as COCO's run-length encoding.

    Raises:
        DatasetError: Coordinates or lengths that do not fit the image.
    """
    height, width = size
    segmentation = shape.segmentation
    if isinstance(segmentation, dict):
        return _from_runs(segmentation, shape.where, size)
    try:
        polygons = [np.asarray(polygon, float) for polygon in segmentation]
    except (ValueError, TypeError):
        raise DatasetError(
            f"{shape.where} has a corner that is not a number; give pixels, or remove the shape."
        ) from None
    corners = np.concatenate(polygons)
    if not np.isfinite(corners).all() or np.abs(corners).max() > MAX_DISTANCE * max(size):
        raise DatasetError(
            f"{shape.where} has a corner at {np.nan_to_num(corners).max():g} in an image of "
            f"{width}x{height}; give pixels of this image, or remove the shape."
        )
    return coco_mask.merge(coco_mask.frPyObjects([p.tolist() for p in polygons], height, width))


def _from_runs(runs: dict[str, Any], where: str, size: tuple[int, int]) -> dict[str, Any]:
    try:
        counts = runs["counts"]
        if isinstance(counts, list):
            fits = list(runs["size"]) == list(size) and sum(counts) == size[0] * size[1]
            rle = coco_mask.frPyObjects(runs, *size) if fits and min(counts) >= 0 else None
        else:
            rle = {"size": list(runs["size"]), "counts": counts}
            rle = rle if coco_mask.decode(rle).shape == size else None
    except (ValueError, TypeError, KeyError):
        rle = None
    if rle is None:
        raise DatasetError(
            f"{where} has run lengths for another size than {size[1]}x{size[0]}, or damaged ones; "
            "export the file again, or remove the annotation."
        )
    return rle
