"""labelme: polygons for the annotation tool of that name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.results.outputs.base import (
    OUTPUTS,
    Document,
    Segmented,
    class_polygons,
    image_name,
    to_json_text,
)
from easyseg.results.polygon_tracing import Polygon
from easyseg.utils.files import real_path

VERSION = "5.5.0"  # of labelme, whose format this is


def to_labelme(
    result: Segmented,
    *,
    tolerance: float = 0.0,
    min_area: int = 0,
    image_path: str | None = None,
) -> dict[str, Any]:
    """See `Segmentation.to_labelme`."""
    height, width = result.labels.shape
    return {
        "version": VERSION,
        "flags": {},
        "shapes": [
            {
                "label": result.label_set.names[class_id],
                "points": _without_holes(polygon).tolist(),
                "group_id": None,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
            }
            for class_id, polygons in class_polygons(result, tolerance, min_area)
            for polygon in polygons
        ],
        "imagePath": image_path or image_name(result),
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def _without_holes(polygon: Polygon) -> np.ndarray:
    """One ring that enters and leaves each hole through a slit of zero width.

    The slit leads from the leftmost corner of the hole to the left, to the next ring. Holes further
    left are joined first, so that this is the exterior or a hole that is already joined.
    """
    ring = polygon.exterior.astype(float)
    for hole in sorted(polygon.holes, key=lambda h: h[:, 0].min()):
        hole = np.roll(hole, -np.lexsort((hole[:, 1], hole[:, 0]))[0], axis=0)  # noqa: PLW2901
        x, y = hole[0]
        after = np.roll(ring, -1, axis=0)
        crosses = np.flatnonzero((ring[:, 1] <= y) != (after[:, 1] <= y))
        slope = (after[crosses] - ring[crosses]).T
        at = ring[crosses, 0] + (y - ring[crosses, 1]) * slope[0] / slope[1]
        if (at <= x).any():
            nearest = np.where(at <= x, at, -np.inf).argmax()
            edge, slit = crosses[nearest], np.array([[at[nearest], y]])
        else:  # simplification moved this corner outside
            edge = np.abs(ring - hole[0]).sum(axis=1).argmin()
            slit = ring[edge : edge + 1]
        ring = np.insert(ring, edge + 1, np.concatenate([slit, hole, hole[:1], slit]), axis=0)
    return ring


def _write(result: Segmented, path: Path, **options: Any) -> bytes:
    image_path = _image_path(result.source, path)
    return to_json_text(to_labelme(result, image_path=image_path, **options))


def _image_path(source: str | None, path: Path) -> str:
    """The image's path from the document; if it is not a file, a .jpg with the document's name."""
    if source is None or "://" in source:
        return f"{path.stem}.jpg"
    try:
        return Path(os.path.relpath(source, path.parent)).as_posix()
    except ValueError:  # on another drive
        return real_path(source).as_posix()


OUTPUTS.register("labelme")(Document(_write, options=("tolerance", "min_area")))
