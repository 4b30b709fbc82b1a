"""What is drawn behind the classes that are kept: an image, a blur, a color, gray, nothing."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from easyseg.errors import InputError
from easyseg.io.read_image import ImageSource, read_image
from easyseg.io.video import is_video
from easyseg.results.colors import read_color
from easyseg.results.matting import composite, cut_out
from easyseg.utils.registry import Registry

Effect = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From an image `(H, W, 3) uint8 RGB` and alpha `(H, W) float32` to RGB or RGBA uint8."""

BACKGROUNDS: Registry[Callable[..., Effect]] = Registry("background")
"""From an effect's option, which is checked before any work, to the function that draws it."""

BLUR_STRENGTHS = {"low": 0.01, "moderate": 0.02, "extreme": 0.04}  # sigma / longest side


@BACKGROUNDS.register("change")
def change(background: ImageSource, *, max_pixels: int | None = None) -> Effect:
    """Another image, scaled to cover the image and cropped at its center."""
    image_behind = _read_background(background, max_pixels)
    covering = functools.lru_cache(maxsize=1)(functools.partial(_cover, image_behind))
    return lambda image, alpha: composite(image, alpha, covering(image.shape[:2]))


@BACKGROUNDS.register("blur")
def blur(strength: str | float) -> Effect:
    """The image's background out of focus, without the colors of what is kept."""
    sigma_of = _sigma(strength)
    return lambda image, alpha: composite(image, alpha, _blurred(image, 1 - alpha, sigma_of(image)))


@BACKGROUNDS.register("color")
def color(value: Any) -> Effect:
    """One color."""
    rgb = read_color(value, f"color={value!r}")
    return lambda image, alpha: composite(image, alpha, np.full_like(image, rgb))


@BACKGROUNDS.register("gray")
def gray(_: None) -> Effect:
    """The image's background in gray."""

    def draw(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        grayscale = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return cv2.blendLinear(image, grayscale, alpha, 1 - alpha)

    return draw


@BACKGROUNDS.register("cutout")
def cutout(_: None) -> Effect:
    """A transparent background."""
    return cut_out


def _cover(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of the image at `(height, width)`, undistorted, like `cover` in CSS."""
    from PIL import Image, ImageOps  # noqa: PLC0415

    return np.array(ImageOps.fit(Image.fromarray(image), size[::-1]))


def _blurred(image: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Weighted Gaussian mean, `blur(weight * image) / blur(weight)`, at a size that suits sigma."""
    scale = max(1.0, sigma / 3)
    height, width = image.shape[:2]
    size = max(1, round(width / scale)), max(1, round(height / scale))
    weight = weight[..., None]
    pixels = cv2.resize(np.dstack([image * weight, weight]), size, interpolation=cv2.INTER_AREA)
    pixels = cv2.GaussianBlur(pixels, (0, 0), sigma / scale)
    mean = pixels[..., :3] / np.maximum(pixels[..., 3:], 1e-6)
    return cv2.resize(np.rint(mean).clip(0, 255).astype(np.uint8), (width, height))


def _sigma(strength: Any) -> Callable[[np.ndarray], float]:
    """From an image to the blur's standard deviation in its pixels."""
    if isinstance(strength, str) and strength in BLUR_STRENGTHS:
        return lambda image: BLUR_STRENGTHS[strength] * max(image.shape[:2])
    number = isinstance(strength, (int, float)) and not isinstance(strength, bool)
    if number and 0 < strength < float("inf"):
        return lambda _: float(strength)
    raise InputError(
        f"strength={strength!r} must be {', '.join(BLUR_STRENGTHS)}, or a standard deviation in "
        "pixels above 0."
    )


def _read_background(image: ImageSource, max_pixels: int | None) -> np.ndarray:
    if isinstance(image, str | os.PathLike) and is_video(image):
        raise InputError(f"Expected an image for the background, got the video {image}.")
    return read_image(image, max_pixels=max_pixels)
