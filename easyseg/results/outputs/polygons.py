"""Polygons: the outlines of each class, with holes, as plain JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from easyseg.results.outputs.base import OUTPUTS, Document, Segmented, class_polygons, to_json_text


def to_polygons(result: Segmented, *, tolerance: float = 0.0, min_area: int = 0) -> dict[str, Any]:
    """See `Segmentation.to_polygons`."""
    height, width = result.labels.shape
    return {
        "width": width,
        "height": height,
        "classes": [
            {
                "id": class_id,
                "name": result.label_set.names[class_id],
                "color": list(result.label_set.palette[class_id]),
                "polygons": [
                    {"exterior": p.exterior.tolist(), "holes": [hole.tolist() for hole in p.holes]}
                    for p in polygons
                ],
            }
            for class_id, polygons in class_polygons(result, tolerance, min_area)
        ],
    }


def _write(result: Segmented, _: Path, **options: Any) -> bytes:
    return to_json_text(to_polygons(result, **options))


OUTPUTS.register("polygons")(Document(_write, options=("tolerance", "min_area")))
