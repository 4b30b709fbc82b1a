"""COCO: one annotation per class with a run-length encoded mask, as in COCO-Stuff."""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from easyseg.results.outputs.base import (
    OUTPUTS,
    Document,
    Segmented,
    image_name,
    predicted_classes,
    to_json_text,
)


def to_coco(result: Segmented, *, image_id: int = 1, first_id: int = 1) -> dict[str, Any]:
    """See `Segmentation.to_coco`."""
    height, width = result.labels.shape
    labels = np.asfortranarray(result.labels)  # as pycocotools reads masks
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
            {"id": number, "image_id": image_id, **_annotation(labels, class_id)}
            for number, class_id in enumerate(predicted_classes(result), first_id)
        ],
    }


def _annotation(labels: np.ndarray, class_id: int) -> dict[str, Any]:
    rle = coco_mask.encode((labels == class_id).view(np.uint8))
    return {
        "category_id": class_id,
        "segmentation": {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")},
        "area": int(coco_mask.area(rle)),
        "bbox": [int(side) for side in coco_mask.toBbox(rle)],
        "iscrowd": 0,
    }


OUTPUTS.register("coco")(Document(lambda result, _: to_json_text(to_coco(result))))
