"""COCO: one annotation per class, its mask run-length encoded, as in COCO-Stuff."""

from __future__ import annotations

from typing import Any

import numpy as np

from easyseg.results.outputs.base import (
    OUTPUTS,
    Document,
    Segmented,
    image_name,
    predicted_classes,
    to_json_text,
)

__all__ = ["to_coco"]


def to_coco(result: Segmented, *, image_id: int = 1, first_id: int = 1) -> dict[str, Any]:
    """See `Segmentation.to_coco`."""
    height, width = result.labels.shape
    ids, starts, ends = _column_runs(result.labels)
    annotations = []
    for number, class_id in enumerate(predicted_classes(result), first_id):
        mine = ids == class_id
        start, end = starts[mine], ends[mine]
        annotations.append(
            {
                "id": number,
                "image_id": image_id,
                "category_id": class_id,
                "segmentation": {
                    "size": [height, width],
                    "counts": _compress(_counts(start, end, height * width)),
                },
                "area": int((end - start).sum()),
                "bbox": _bbox(start, end, height),
                "iscrowd": 0,
            }
        )
    name = image_name(result)
    return {
        "info": {"description": "made by easyseg"},
        "images": [{"id": image_id, "file_name": name, "width": width, "height": height}],
        "categories": [
            {"id": i, "name": name, "supercategory": result.label_set.name}
            for i, name in enumerate(result.label_set.names)
            if i != result.label_set.void
        ],
        "annotations": annotations,
    }


def _column_runs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Id, start and end of every run of equal labels, going down column after column."""
    flat = labels.ravel(order="F")
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    return flat[starts], starts, np.append(starts[1:], flat.size)


def _counts(start: np.ndarray, end: np.ndarray, size: int) -> np.ndarray:
    """Lengths of the runs outside and inside the mask in turn, outside first."""
    edges = np.concatenate([[0], np.stack([start, end], 1).ravel(), [size]])
    counts = np.diff(edges)
    return counts if counts[-1] else counts[:-1]


def _compress(counts: np.ndarray) -> str:
    """COCO's string: differences to the count two before, 5 bits a character, low bits first."""
    values = counts.copy()
    values[3:] -= counts[1:-2]
    shifts = 5 * np.arange(max(1, -(-int(counts.max()).bit_length() // 5) + 1))
    groups = values[:, None] >> shifts & 31
    rest = values[:, None] >> shifts + 5
    more = rest != np.where(groups & 16, -1, 0)
    needed = np.logical_and.accumulate(np.pad(more, ((0, 0), (1, 0)), constant_values=True), 1)
    return (groups + 32 * more + 48)[needed[:, :-1]].astype(np.uint8).tobytes().decode("ascii")


def _bbox(start: np.ndarray, end: np.ndarray, height: int) -> list[int]:
    """`[x, y, width, height]`; a run that goes on in the next column spans all rows."""
    left, right = start[0] // height, (end[-1] - 1) // height
    top, bottom = start % height, (end - 1) % height
    if (start // height != (end - 1) // height).any():
        top, bottom = np.array([0]), np.array([height - 1])
    box = [left, top.min(), right - left + 1, bottom.max() - top.min() + 1]
    return [int(value) for value in box]


OUTPUTS.register("coco")(Document(lambda result, _: to_json_text(to_coco(result))))
