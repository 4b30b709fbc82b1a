"""The steps of augmentation: what each does, and its parameters' defaults.

A `Placing` step says where the crop lies on the image; all of them together make one affine map, so
that an image is resampled once. The others change pixels of the crop.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from easyseg.datasets.base import IGNORE

__all__ = ["GRAY", "STEPS", "Crop", "Placing", "Step"]

GRAY = 127  # where there is no image: near 0 for the network


@dataclasses.dataclass(frozen=True)
class Placing:
    """How the image lies under the crop.

    Attributes:
        scale: Size in the crop over size in the image.
        degrees: Turned counter-clockwise about the image's center.
        mirrored: Left and right are exchanged.
    """

    scale: float = 1.0
    degrees: float = 0.0
    mirrored: bool = False


@dataclasses.dataclass(frozen=True)
class Crop:
    """`image (h, w, 3) uint8 RGB` and `truth (h, w)`, both the crop's own, to be written to."""

    image: np.ndarray
    truth: np.ndarray


@dataclasses.dataclass(frozen=True)
class Step:
    """A row of the table.

    Args:
        act: `(Placing, rng, **parameters) -> Placing`, or the same with `Crop`.
        places: It is `Placing` that `act` changes.
        parameters: Defaults, plain numbers; "chance" is how often the step happens.
    """

    act: Callable[..., Any]
    places: bool
    parameters: Mapping[str, float]


def scale(at: Placing, rng: np.random.Generator, *, low: float, high: float) -> Placing:
    """Another size, uniform between two factors."""
    return dataclasses.replace(at, scale=rng.uniform(low, high))


def rotate(at: Placing, rng: np.random.Generator, *, degrees: float) -> Placing:
    """Turned by up to so many degrees, either way."""
    return dataclasses.replace(at, degrees=rng.uniform(-degrees, degrees))


def flip(at: Placing, rng: np.random.Generator) -> Placing:  # noqa: ARG001
    """The mirror image."""
    return dataclasses.replace(at, mirrored=True)


def brightness(crop: Crop, rng: np.random.Generator, *, by: float) -> Crop:
    """Lighter or darker by up to a share of white."""
    shift = 255 * rng.uniform(-by, by)
    return Crop(cv2.addWeighted(crop.image, 1, crop.image, 0, shift), crop.truth)


def contrast(crop: Crop, rng: np.random.Generator, *, by: float) -> Crop:
    """Differences from the image's mean brightness times up to `1 +- by`."""
    factor = rng.uniform(1 - by, 1 + by)
    mean = sum(cv2.mean(crop.image)[:3]) / 3
    return Crop(cv2.addWeighted(crop.image, factor, crop.image, 0, mean * (1 - factor)), crop.truth)


def saturation(crop: Crop, rng: np.random.Generator, *, by: float) -> Crop:
    """Differences of each pixel from its gray times up to `1 +- by`."""
    factor = rng.uniform(1 - by, 1 + by)
    gray = cv2.cvtColor(cv2.cvtColor(crop.image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return Crop(cv2.addWeighted(crop.image, factor, gray, 1 - factor, 0), crop.truth)


def noise(crop: Crop, rng: np.random.Generator, *, sigma: float) -> Crop:
    """Gaussian noise on each value, of a deviation up to `sigma` (of 255)."""
    sigma = rng.uniform(0, sigma)
    grain = rng.standard_normal(crop.image.shape, np.float32) * np.float32(sigma)
    return Crop(cv2.add(crop.image, grain, dtype=cv2.CV_8U), crop.truth)


def blur(crop: Crop, rng: np.random.Generator, *, sigma: float) -> Crop:
    """Gaussian blur of up to `sigma` pixels."""
    return Crop(_blurred(crop.image, rng.uniform(0, sigma)), crop.truth)


def cutout(crop: Crop, rng: np.random.Generator, *, size: float) -> Crop:
    """A gray rectangle, whose sides are up to a share of the crop's; ignored in the truth.

    References:
        DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with
        Cutout", 2017, https://arxiv.org/abs/1708.04552.
    """
    spans = []
    for side in crop.truth.shape:
        length = max(1, round(side * rng.uniform(0, size)))
        first = int(rng.integers(0, side - length + 1))
        spans.append(slice(first, first + length))
    image, truth = crop.image.copy(), crop.truth.copy()
    image[tuple(spans)], truth[tuple(spans)] = GRAY, IGNORE
    return Crop(image, truth)


def cut(
    image: np.ndarray,
    truth: np.ndarray,
    at: Placing,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Crop:
    """A crop from anywhere; where the image is smaller, it lies anywhere within the crop.

    Args:
        image: `(H, W, 3) uint8 RGB`.
        truth: `(H, W)` uint8 or uint16; never interpolated.
        at: How the image lies.
        size: `(height, width)` of the crop, pixels.
        rng: Says where.
    """
    matrix = _affine(image.shape[:2], at, size, rng)
    if at.scale < 1:  # adds the variance by which a square of 1 / scale pixels exceeds one of 1
        image = _blurred(image, np.sqrt((1 / at.scale**2 - 1) / 12))
    width_height = size[::-1]
    return Crop(
        cv2.warpAffine(
            image, matrix, width_height, flags=cv2.INTER_LINEAR, borderValue=(GRAY,) * 3
        ),
        cv2.warpAffine(
            truth, matrix, width_height, flags=cv2.INTER_NEAREST, borderValue=float(IGNORE)
        ),
    )


def _affine(
    image: tuple[int, int], at: Placing, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """`(2, 3) float64`, from the image's pixel centers `(x, y)` to the crop's."""
    angle = np.deg2rad(at.degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    linear = at.scale * turn @ np.diag([-1.0 if at.mirrored else 1.0, 1.0])
    sides = np.array(image[::-1], np.float64)
    room = np.array(size[::-1]) - at.scale * sides
    corner = np.round(rng.uniform(np.minimum(room, 0), np.maximum(room, 0)))  # whole pixels
    center = corner + at.scale * sides / 2 - 0.5
    return np.column_stack([linear, center - linear @ ((sides - 1) / 2)])


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0.1 else image


STEPS: dict[str, Step] = {
    "scale": Step(scale, True, {"low": 0.5, "high": 2.0, "chance": 1.0}),
    "rotate": Step(rotate, True, {"degrees": 15.0, "chance": 0.5}),
    "flip": Step(flip, True, {"chance": 0.5}),
    "brightness": Step(brightness, False, {"by": 0.15, "chance": 0.5}),
    "contrast": Step(contrast, False, {"by": 0.4, "chance": 0.5}),
    "saturation": Step(saturation, False, {"by": 0.5, "chance": 0.5}),
    "noise": Step(noise, False, {"sigma": 12.0, "chance": 0.2}),
    "blur": Step(blur, False, {"sigma": 1.5, "chance": 0.2}),
    "cutout": Step(cutout, False, {"size": 0.4, "chance": 0.3}),
}
