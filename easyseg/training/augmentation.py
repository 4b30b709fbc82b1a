"""Augmentation of image and mask together, by a declared list of steps.

Geometric steps ("scale", "rotate", "flip") set the parameters of one affine map, which also crops,
so that an image is resampled once; the other steps change the pixels of the crop. Keras's
augmentation layers are not used: they resample at each step, and run the backend in the loader's
threads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from easyseg.datasets.base import IGNORE
from easyseg.errors import ConfigError
from easyseg.utils.registry import unknown_name
from easyseg.utils.validation import is_count

DEFAULT_STEPS = ("scale", "flip", "brightness", "contrast", "saturation")
GRAY = 127  # where there is no image: near 0 for the network

RULES = {  # parameter: lowest, highest, in words
    "p": (0.0, 1.0, "a probability from 0 to 1"),
    "low": (0.05, 20.0, "a factor from 0.05 to 20"),
    "high": (0.05, 20.0, "a factor from 0.05 to 20"),
    "degrees": (0.0, 180.0, "an angle from 0 to 180"),
    "factor": (0.0, 1.0, "a number from 0 to 1"),
    "sigma": (0.0, 100.0, "a standard deviation from 0 to 100"),
    "size": (0.0, 1.0, "a fraction from 0 to 1"),
}


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Parameters of the affine map from image to crop.

    Attributes:
        scale: Size in the crop over size in the image.
        degrees: Rotation counter-clockwise about the image's center.
        mirrored: Left and right are exchanged.
    """

    scale: float = 1.0
    degrees: float = 0.0
    mirrored: bool = False


@dataclasses.dataclass(frozen=True)
class Crop:
    """`image (h, w, 3) uint8 RGB` and `mask (h, w)` class ids."""

    image: np.ndarray
    mask: np.ndarray


@dataclasses.dataclass(frozen=True)
class Step:
    """An entry of the table.

    Args:
        apply: `(Geometry, rng, **parameters) -> Geometry`, or the same with `Crop`.
        geometric: Whether `apply` takes a `Geometry`.
        parameters: Defaults; "p" is the probability that the step is applied.
    """

    apply: Callable[..., Any]
    geometric: bool
    parameters: Mapping[str, float]


class Augmenter:
    """Makes a random crop of an image and its mask. Threads may share it.

    Args:
        steps: Names of steps, or `{name: {parameter: value}}`; those of `STEPS`. Geometric steps
            come first, then the crop, then the others in the order of the list.
        crop: `(height, width)` in pixels.

    Raises:
        ConfigError: There is no such step or parameter, or a value breaks a rule.
    """

    def __init__(
        self,
        steps: Sequence[str | Mapping[str, Mapping[str, float]]] = DEFAULT_STEPS,
        *,
        crop: tuple[int, int],
    ) -> None:
        if len(crop) != 2 or not all(is_count(side) for side in crop):
            raise ConfigError(
                f"crop={crop!r} must be (height, width) in pixels, such as (360, 360)."
            )
        self._size = int(crop[0]), int(crop[1])
        if isinstance(steps, (str, Mapping)):
            raise ConfigError(f"augment={steps!r} must be a list, such as ['flip'].")
        self._steps: dict[str, dict[str, float]] = {}
        for item in steps:
            name, values = _parse_step(item)
            if name in self._steps:
                raise ConfigError(f"augmentation step {name!r} is listed twice; remove one.")
            self._steps[name] = _check_parameters(name, values)

    @property
    def steps(self) -> list[dict[str, dict[str, float]]]:
        """The steps with all their parameters, as plain values that `Augmenter` takes."""
        return [{name: dict(values)} for name, values in self._steps.items()]

    def __call__(
        self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """A crop, the same for an equal `rng`.

        Args:
            image: `(H, W, 3) uint8 RGB`, of any size.
            mask: `(H, W)` uint8 or uint16 class ids, 255 where ignored.
            rng: The only source of randomness.

        Returns:
            `(h, w, 3) uint8 RGB`, gray outside the image, and `(h, w)` of the mask's dtype, 255
            there.
        """
        geometry = self._apply(Geometry(), rng, geometric=True)
        crop = cut(image, mask, geometry, self._size, rng)
        crop = self._apply(crop, rng, geometric=False)
        return crop.image, crop.mask

    def _apply(self, value: Any, rng: np.random.Generator, *, geometric: bool) -> Any:
        """The steps of one kind, one after the other."""
        for name, parameters in self._steps.items():
            step = STEPS[name]
            if step.geometric == geometric and rng.random() < parameters["p"]:
                others = {key: number for key, number in parameters.items() if key != "p"}
                value = step.apply(value, rng, **others)
        return value


def _parse_step(item: Any) -> tuple[str, Mapping[str, Any]]:
    """Name and parameters of an item of the list."""
    if isinstance(item, str):
        return item, {}
    if isinstance(item, Mapping) and len(item) == 1:
        ((name, values),) = item.items()
        if values is None or isinstance(values, Mapping):  # `flip:` in YAML has no value
            return str(name), values or {}
    raise ConfigError(
        f"expected an augmentation step, got {item!r}; give a name such as 'flip', or parameters "
        "such as {'rotate': {'degrees': 10}}."
    )


def _check_parameters(name: str, values: Mapping[str, Any]) -> dict[str, float]:
    """All parameters of a step."""
    if name not in STEPS:
        raise ConfigError(str(unknown_name("augmentation step", name, STEPS)))
    defaults = STEPS[name].parameters
    for key, value in values.items():
        if key not in defaults:
            raise ConfigError(str(unknown_name(f"parameter of {name!r}", key, defaults)))
        lowest, highest, rule = RULES[key]
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not lowest <= value <= highest:
            raise ConfigError(f"{key}={value!r} of {name!r} must be {rule}.")
    parameters = {**defaults, **{key: float(value) for key, value in values.items()}}
    if "low" in parameters and parameters["low"] > parameters["high"]:
        raise ConfigError(
            f"low={parameters['low']} of {name!r} is above high={parameters['high']}; swap them."
        )
    return parameters


def scale(geometry: Geometry, rng: np.random.Generator, *, low: float, high: float) -> Geometry:
    """Another size, uniform between two factors."""
    return dataclasses.replace(geometry, scale=rng.uniform(low, high))


def rotate(geometry: Geometry, rng: np.random.Generator, *, degrees: float) -> Geometry:
    """Rotated by up to `degrees` either way."""
    return dataclasses.replace(geometry, degrees=rng.uniform(-degrees, degrees))


def flip(geometry: Geometry, rng: np.random.Generator) -> Geometry:  # noqa: ARG001
    """The mirror image."""
    return dataclasses.replace(geometry, mirrored=True)


def brightness(crop: Crop, rng: np.random.Generator, *, factor: float) -> Crop:
    """Lighter or darker by up to a fraction of white."""
    shift = 255 * rng.uniform(-factor, factor)
    return Crop(cv2.addWeighted(crop.image, 1, crop.image, 0, shift), crop.mask)


def contrast(crop: Crop, rng: np.random.Generator, *, factor: float) -> Crop:
    """Differences from the image's mean brightness times a number within `1 ± factor`."""
    gain = rng.uniform(1 - factor, 1 + factor)
    mean = sum(cv2.mean(crop.image)[:3]) / 3
    return Crop(cv2.addWeighted(crop.image, gain, crop.image, 0, mean * (1 - gain)), crop.mask)


def saturation(crop: Crop, rng: np.random.Generator, *, factor: float) -> Crop:
    """Differences of each pixel from its gray times a number within `1 ± factor`."""
    gain = rng.uniform(1 - factor, 1 + factor)
    gray = cv2.cvtColor(cv2.cvtColor(crop.image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return Crop(cv2.addWeighted(crop.image, gain, gray, 1 - gain, 0), crop.mask)


def noise(crop: Crop, rng: np.random.Generator, *, sigma: float) -> Crop:
    """Gaussian noise on each value, of a standard deviation up to `sigma` (of 255)."""
    sigma = rng.uniform(0, sigma)
    grain = rng.standard_normal(crop.image.shape, np.float32) * np.float32(sigma)
    return Crop(cv2.add(crop.image, grain, dtype=cv2.CV_8U), crop.mask)


def blur(crop: Crop, rng: np.random.Generator, *, sigma: float) -> Crop:
    """Gaussian blur of up to `sigma` pixels."""
    return Crop(_blurred(crop.image, rng.uniform(0, sigma)), crop.mask)


def cutout(crop: Crop, rng: np.random.Generator, *, size: float) -> Crop:
    """A gray rectangle, whose sides are up to `size` of the crop's; ignored in the mask.

    References:
        DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with
        Cutout", 2017, https://arxiv.org/abs/1708.04552.
    """
    spans = []
    for side in crop.mask.shape:
        length = max(1, round(side * rng.uniform(0, size)))
        first = int(rng.integers(0, side - length + 1))
        spans.append(slice(first, first + length))
    image, mask = crop.image.copy(), crop.mask.copy()
    image[tuple(spans)], mask[tuple(spans)] = GRAY, IGNORE
    return Crop(image, mask)


def cut(
    image: np.ndarray,
    mask: np.ndarray,
    geometry: Geometry,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Crop:
    """A crop from anywhere; a smaller image lies anywhere within the crop.

    Args:
        image: `(H, W, 3) uint8 RGB`.
        mask: `(H, W)` uint8 or uint16; never interpolated.
        geometry: The affine map, without its position.
        size: `(height, width)` of the crop, pixels.
        rng: Chooses the position.
    """
    matrix = _affine(image.shape[:2], geometry, size, rng)
    if geometry.scale < 1:  # difference in variance of a square of 1 / scale pixels and of one
        image = _blurred(image, np.sqrt((1 / geometry.scale**2 - 1) / 12))
    width_height = size[::-1]
    return Crop(
        cv2.warpAffine(
            image, matrix, width_height, flags=cv2.INTER_LINEAR, borderValue=(GRAY,) * 3
        ),
        cv2.warpAffine(
            mask, matrix, width_height, flags=cv2.INTER_NEAREST, borderValue=float(IGNORE)
        ),
    )


def _affine(
    image: tuple[int, int], geometry: Geometry, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """`(2, 3) float64`, from the image's pixel centers `(x, y)` to the crop's."""
    angle = np.deg2rad(geometry.degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    linear = geometry.scale * turn @ np.diag([-1.0 if geometry.mirrored else 1.0, 1.0])
    sides = np.array(image[::-1], np.float64)
    room = np.array(size[::-1]) - geometry.scale * sides
    corner = np.round(rng.uniform(np.minimum(room, 0), np.maximum(room, 0)))  # whole pixels
    center = corner + geometry.scale * sides / 2 - 0.5
    return np.column_stack([linear, center - linear @ ((sides - 1) / 2)])


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0.1 else image


STEPS: dict[str, Step] = {
    "scale": Step(scale, True, {"low": 0.5, "high": 2.0, "p": 1.0}),
    "rotate": Step(rotate, True, {"degrees": 15.0, "p": 0.5}),
    "flip": Step(flip, True, {"p": 0.5}),
    "brightness": Step(brightness, False, {"factor": 0.15, "p": 0.5}),
    "contrast": Step(contrast, False, {"factor": 0.4, "p": 0.5}),
    "saturation": Step(saturation, False, {"factor": 0.5, "p": 0.5}),
    "noise": Step(noise, False, {"sigma": 12.0, "p": 0.2}),
    "blur": Step(blur, False, {"sigma": 1.5, "p": 0.2}),
    "cutout": Step(cutout, False, {"size": 0.4, "p": 0.3}),
}
