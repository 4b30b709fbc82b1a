"""A segmentation as an object of another package, which is imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from easyseg.errors import InputError
from easyseg.results.outputs.base import Segmented, class_masks
from easyseg.results.regions import find_regions, whole_region

LARGEST_MASKS = 4 << 30  # bytes of all masks of a `Detections`


def to_dataframe(result: Segmented) -> Any:
    """See `Segmentation.to_dataframe`."""
    pandas = _import("pandas", "to_dataframe")
    ids, colors = result.class_ids, result.label_set.colors
    return pandas.DataFrame(
        {
            "id": ids,
            "name": [result.label_set.name_of(i) for i in ids],
            "ratio": result.ratios,
            "pixels": [round(ratio * result.labels.size) for ratio in result.ratios],
            "color": ["#" + colors[i].tobytes().hex() for i in ids],
        }
    )


def to_supervision(result: Segmented, *, regions: bool = False, min_area: int = 0) -> Any:
    """See `Segmentation.to_supervision`."""
    supervision = _import("supervision", "to_supervision")
    found = [
        (class_id, region)
        for class_id, mask in class_masks(result, min_area)
        for region in (find_regions(mask) if regions else [whole_region(mask)])
    ]
    height, width = result.labels.shape
    if len(found) * height * width > LARGEST_MASKS:
        raise InputError(
            f"{len(found)} masks of {width} x {height} pixels need more than "
            f"{LARGEST_MASKS >> 30} GiB; leave small regions out with a larger min_area "
            f"(min_area={min_area} here), or use to_polygons()."
        )
    masks = np.zeros((len(found), height, width), bool)
    for mask, (_, ((left, top, right, bottom), part)) in zip(masks, found, strict=True):
        mask[top:bottom, left:right] = part
    ids = [class_id for class_id, _ in found]
    return supervision.Detections(
        xyxy=np.array([region.box for _, region in found], np.float32).reshape(-1, 4),
        mask=masks,
        class_id=np.array(ids, int),
        data={"class_name": np.array([result.label_set.name_of(i) for i in ids], str)},
    )


def to_fiftyone(result: Segmented) -> Any:
    """See `Segmentation.to_fiftyone`."""
    return _import("fiftyone", "to_fiftyone").Segmentation(mask=result.labels)


def _import(package: str, method: str) -> Any:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise InputError(
            f"{method}() needs {package}, which is not installed: pip install {package}"
        ) from error
