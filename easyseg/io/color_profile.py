"""Colors of other ICC profiles (Display P3, Adobe RGB, CMYK, gray) as sRGB."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING

import numpy as np

from easyseg.io.boxes import boxes

if TYPE_CHECKING:
    from PIL import Image, ImageCms

MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # Pillow's, by the profile's color space
MAX_BYTES = 4 << 20  # of a profile; those of printers have one or two million
SAME = 2  # levels by which variants of sRGB differ after rounding


def profile_of(image: Image.Image) -> bytes | None:
    """The image's ICC profile; damaged files have other things in its place."""
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and len(profile) <= MAX_BYTES else None


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """An image without transparency as mode RGB, in sRGB.

    A profile that is damaged, or of other channels than the image has, is ignored, as viewers do.
    """
    transform = _transform(profile) if profile else None
    if transform is None or (transform.inputMode == "CMYK") != (image.mode == "CMYK"):
        return _as_mode(image, "RGB")
    return transform.apply(_as_mode(image, transform.inputMode))


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)


def pixels_to_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """`(H, W, 3) uint8 RGB` in sRGB, changed in place."""
    from PIL import Image  # noqa: PLC0415

    if profile and _transform(profile):
        for left, top, right, bottom in boxes(pixels.shape[1], len(pixels)):
            part = pixels[top:bottom, left:right]
            part[:] = np.asarray(to_srgb(Image.fromarray(part), profile))
    return pixels


@functools.lru_cache(maxsize=4)  # a camera's images have one profile; a transform takes 4 ms
def _transform(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """`None` if the profile is sRGB, or cannot be used."""
    from PIL import Image, ImageCms  # noqa: PLC0415

    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = MODES[opened.profile.xcolor_space]
        transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, KeyError, ValueError, TypeError):
        return None
    if mode == "RGB":
        levels = np.linspace(0, 255, 9).round().astype(np.uint8)
        cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
        converted = np.asarray(transform.apply(Image.fromarray(cube)))
        if np.abs(converted.astype(int) - cube).max() <= SAME:
            return None
    return transform
