"""What backbones that were trained elsewhere expect of an image."""

from __future__ import annotations

from typing import Any, NamedTuple

from easyseg._keras import layers, ops

__all__ = ["PREPROCESSING", "preprocess"]

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB, 0 to 1
BGR_MEAN = (103.939, 116.779, 123.68)  # of ImageNet, 0 to 255


class Range(NamedTuple):
    """What weights expect, as `scale * x + offset` of an x in -1 to 1."""

    scale: float | tuple[float, ...] = 1
    offset: float | tuple[float, ...] = 0
    bgr: bool = False


PREPROCESSING = {
    "tf": Range(),
    "tf128": Range(127.5 / 128, 127.5 / 128 - 1),
    "raw": Range(127.5, 127.5),
    "torch": Range(
        tuple(0.5 / d for d in DEVIATION),
        tuple((0.5 - m) / d for m, d in zip(MEAN, DEVIATION, strict=True)),
    ),
    "caffe": Range(127.5, tuple(127.5 - m for m in BGR_MEAN), bgr=True),
}
"""Ranges by name. "tf": -1 to 1. "tf128": 0 to 255 by 128, less 1. "raw": 0 to 255.
"torch": 0 to 1, less ImageNet's mean, by its deviation. "caffe": BGR, 0 to 255, less the mean.
"""


def preprocess(x: Any, preprocessing: str, scope: str) -> Any:
    """`(N, H, W, 3)` in -1 to 1 -> the same in the range of this name."""
    scale, offset, bgr = PREPROCESSING[preprocessing]
    if bgr:
        x = ops.flip(x, axis=-1)
    return layers.Rescaling(scale, offset, name=f"{scope}-preprocess")(x)
