"""What can be drawn or written of a segmentation: one file per kind, which registers itself."""

from __future__ import annotations

from easyseg.results.outputs import (  # noqa: F401  (each registers its kind)
    coco,
    color_map,
    confidence_map,
    contours,
    cutout,
    cvat,
    geojson,
    id_mask,
    label_studio,
    labelme,
    npz,
    overlay,
    polygons,
    side_by_side,
)
from easyseg.results.outputs.base import OUTPUTS, Document, Output, Segmented
from easyseg.results.outputs.spec import OutputSpec

__all__ = ["OUTPUTS", "Document", "Output", "OutputSpec", "Segmented"]
