"""Label Studio: a task with brush masks as predictions, in its import format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from easyseg.results.outputs.base import (
    OUTPUTS,
    Document,
    Segmented,
    class_masks,
    image_name,
    to_json_text,
)

RUN_BITS = (3, 4, 8, 16)  # that a run's length may take
LONGEST_RUN = 1 << RUN_BITS[-1]
LOCAL_FILES = "/data/local-files/?d="  # where its server has the files of a local storage


def to_label_studio(
    result: Segmented,
    *,
    image_url: str | None = None,
    field: str = "image",
    from_name: str = "tag",
    to_name: str = "image",
    min_area: int = 0,
) -> dict[str, Any]:
    """See `Segmentation.to_label_studio`."""
    if image_url is None:
        source = result.source or ""
        image_url = source if "://" in source else LOCAL_FILES + image_name(result)
    regions = [
        brush_region(result, mask, result.label_set.name_of(class_id), from_name, to_name)
        for class_id, mask in class_masks(result, min_area)
    ]
    return {"data": {field: image_url}, "predictions": [prediction(regions, "easyseg")]}


def prediction(regions: list[dict[str, Any]], model_version: str) -> dict[str, Any]:
    """The regions of an image with ids; its score is the mean of theirs."""
    scores = [region["score"] for region in regions if "score" in region]
    score = {"score": round(sum(scores) / len(scores), 4)} if scores else {}
    numbered = [{"id": f"easyseg-{number}", **region} for number, region in enumerate(regions)]
    return {"model_version": model_version, "result": numbered, **score}


def brush_region(
    result: Segmented, mask: np.ndarray, label: str, from_name: str, to_name: str
) -> dict[str, Any]:
    """A mask `(H, W) bool` as a region; its score is the mean confidence of its pixels."""
    height, width = mask.shape
    score = {}
    if result.grid is not None:
        score = {"score": round(float(result.confidence[mask].mean()), 4)}
    return {
        "from_name": from_name,
        "to_name": to_name,
        "type": "brushlabels",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        **score,
        "value": {"format": "rle", "rle": encode_brush(mask), "brushlabels": [label]},
    }


def encode_brush(mask: np.ndarray) -> list[int]:
    """A mask as Label Studio's brush stores it.

    The mask is RGBA, 0 or 255 throughout, flattened, and packed into runs: a head of 53 bits with
    the number of values, of their bits and of those of run lengths; then for each run a 1, which of
    the four sizes its length has, the length minus 1, and the value.

    Args:
        mask: `(H, W) bool`.

    Returns:
        Bytes, 0 to 255.
    """
    flat = mask.ravel()
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]])
    bits = [f"{4 * flat.size:032b}", f"{8 - 1:05b}", *(f"{size - 1:04b}" for size in RUN_BITS)]
    for start, length in zip(starts[:-1].tolist(), (4 * np.diff(starts)).tolist(), strict=True):
        value = "11111111" if flat[start] else "00000000"
        for done in range(0, length, LONGEST_RUN):
            run = min(length - done, LONGEST_RUN) - 1
            size = next(i for i, width in enumerate(RUN_BITS) if run < 1 << width)
            bits.append(f"1{size:02b}{run:0{RUN_BITS[size]}b}{value}")
    text = "".join(bits)
    return np.packbits(np.frombuffer(text.encode(), np.uint8) - ord("0")).tolist()


def _write(result: Segmented, _: Path, **options: Any) -> bytes:
    return to_json_text(to_label_studio(result, **options))


OUTPUTS.register("label_studio")(Document(_write, options=("min_area",)))
