"""What can be made of a segmentation: one file per kind, each a row of the table."""

from __future__ import annotations

from easyseg.outputs import (
    coco,
    colour,
    confidence,
    contour,
    cutout,
    geojson,
    labelme,
    mask,
    npz,
    overlay,
    polygons,
    side_by_side,
)
from easyseg.outputs.table import OUTPUTS, Document, Output, Segmented

__all__ = [
    "OUTPUTS",
    "Document",
    "Output",
    "Segmented",
    "coco",
    "colour",
    "confidence",
    "contour",
    "cutout",
    "geojson",
    "labelme",
    "mask",
    "npz",
    "overlay",
    "polygons",
    "side_by_side",
]
