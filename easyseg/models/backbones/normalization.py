"""What the weights of a backbone expect of pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

from easyseg._keras import layers, ops

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB, 0 to 1
BGR_MEAN = (103.939, 116.779, 123.68)  # of ImageNet, 0 to 255


class Range(NamedTuple):
    """`scale * pixel + offset`, of pixels from 0 to 255."""

    scale: float | tuple[float, ...] = 1.0
    offset: float | tuple[float, ...] = 0.0
    bgr: bool = False


PREPROCESSING = {
    "tf": Range(2 / 255, -1.0),
    "tf128": Range(1 / 128, -1.0),
    "raw": Range(),
    "torch": Range(
        tuple(1 / (255 * d) for d in DEVIATION),
        tuple(-m / d for m, d in zip(MEAN, DEVIATION, strict=True)),
    ),
    "caffe": Range(1.0, tuple(-m for m in BGR_MEAN), bgr=True),
}
"""Ranges by name. "tf": -1 to 1. "tf128": 0 to 255 by 128, less 1. "raw": 0 to 255.
"torch": 0 to 1, less ImageNet's mean, by its deviation. "caffe": BGR, 0 to 255, less the mean.
"""


def preprocess(x: Any, preprocessing: str) -> Any:
    """`(N, H, W, 3)` RGB, 0 to 255 -> the same in the range of this name."""
    scale, offset, bgr = PREPROCESSING[preprocessing]
    if bgr:
        x = ops.flip(x, axis=-1)
    return layers.Rescaling(scale, offset, name="rescale")(x)
