"""COCO: one annotation per class with a run-length encoded mask, as in COCO-Stuff."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from easyseg.results.outputs.base import (
    OUTPUTS,
    Document,
    Segmented,
    class_masks,
    image_name,
    to_json_text,
)


def to_coco(
    result: Segmented, *, image_id: int = 1, first_id: int = 1, min_area: int = 0
) -> dict[str, Any]:
    """See `Segmentation.to_coco`."""
    height, width = result.labels.shape
    return {
        "info": {"description": "made by easyseg"},
        "images": [
            {"id": image_id, "file_name": image_name(result), "width": width, "height": height}
        ],
        "categories": [
            {"id": i, "name": name, "supercategory": result.label_set.name}
            for i, name in enumerate(result.label_set.names)
            if i != result.label_set.void
        ],
        "annotations": [
            {"id": number, "image_id": image_id, "category_id": class_id, **_annotation(mask)}
            for number, (class_id, mask) in enumerate(class_masks(result, min_area), first_id)
        ],
    }


def _annotation(mask: np.ndarray) -> dict[str, Any]:
    rle = coco_mask.encode(np.asfortranarray(mask.view(np.uint8)))
    return {
        "segmentation": {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")},
        "area": int(coco_mask.area(rle)),
        "bbox": [int(side) for side in coco_mask.toBbox(rle)],
        "iscrowd": 0,
    }


def _write(result: Segmented, _: Path, **options: Any) -> bytes:
    return to_json_text(to_coco(result, **options))


OUTPUTS.register("coco")(Document(_write, options=("min_area",)))
