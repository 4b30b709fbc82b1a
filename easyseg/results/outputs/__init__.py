"""What can be made of a segmentation: one file per kind, each a row of the table."""

from __future__ import annotations

from easyseg.results.outputs import (
    coco,
    color_map,
    confidence_map,
    contours,
    cutout,
    geojson,
    id_mask,
    labelme,
    npz,
    overlay,
    polygons,
    side_by_side,
)
from easyseg.results.outputs.base import OUTPUTS, Document, Output, Segmented

__all__ = [
    "OUTPUTS",
    "Document",
    "Output",
    "Segmented",
    "coco",
    "color_map",
    "confidence_map",
    "contours",
    "cutout",
    "geojson",
    "id_mask",
    "labelme",
    "npz",
    "overlay",
    "polygons",
    "side_by_side",
]
