"""GeoJSON (RFC 7946): one MultiPolygon per class, in pixels with y downwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from easyseg.results.outputs.base import OUTPUTS, Document, Segmented, class_polygons, to_json_text


def to_geojson(result: Segmented, *, tolerance: float = 0.0, min_area: int = 0) -> dict[str, Any]:
    """See `Segmentation.to_geojson`."""
    height, width = result.labels.shape
    return {
        "type": "FeatureCollection",
        "width": width,
        "height": height,
        "features": [
            {
                "type": "Feature",
                "id": class_id,
                "properties": {
                    "name": result.label_set.names[class_id],
                    "color": list(result.label_set.palette[class_id]),
                },
                "geometry": {
                    "type": "MultiPolygon",
                    "coordinates": [
                        [_closed(ring) for ring in (polygon.exterior, *polygon.holes)]
                        for polygon in polygons
                    ],
                },
            }
            for class_id, polygons in class_polygons(result, tolerance, min_area)
        ],
    }


def _closed(ring: np.ndarray) -> list[list[int]]:
    return np.concatenate([ring, ring[:1]]).tolist()


def _write(result: Segmented, _: Path, **options: Any) -> bytes:
    return to_json_text(to_geojson(result, **options))


OUTPUTS.register("geojson")(
    Document(_write, (".geojson", ".json"), options=("tolerance", "min_area"))
)
