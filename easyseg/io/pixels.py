"""Pixels of other programs' images as `(H, W, 3) uint8 RGB`: Pillow's in any mode, and arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from easyseg.errors import ImageTooLargeError, InputError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["MAX_PIXELS", "from_array", "to_rgb", "too_large"]

MAX_PIXELS = 250_000_000
"""Images with more pixels are refused before they are decoded; see `read_image`."""


def to_rgb(image: Image.Image) -> np.ndarray:
    """Gray, palette, CMYK and wide images become 8-bit RGB; transparency is laid over white."""
    from PIL import Image  # noqa: PLC0415

    if image.mode.startswith("I;16"):
        return from_array(np.asarray(image).astype(np.uint16), MAX_PIXELS)
    if image.mode in ("F", "I"):
        return _from_wide_gray(np.asarray(image))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return _pixels(image if image.mode == "RGB" else image.convert("RGB"))


def _pixels(image: Image.Image) -> np.ndarray:
    """`(H, W, 3) uint8`, in stripes: Pillow needs the image's memory twice to hand it over."""
    width, height = image.size
    out = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, 64):
        bottom = min(top + 64, height)
        out[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return out


def _from_wide_gray(values: np.ndarray) -> np.ndarray:
    """32-bit and float images, whose scale is not known: 0 to 1, 0 to 255, 0 to 65535, or any.

    Float images may hold NaN and infinities, which become the darkest and brightest values.
    """
    fractions = values.dtype.kind == "f"
    values = values.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    if fractions and low >= 0 and high <= 1:
        gray = values * 255
    elif low >= 0 and high <= 65535:
        gray = values / 257 if high > 255 else values
    else:
        gray = (values - low) / max(high - low, 1e-12) * 255
    return np.repeat(np.rint(gray).astype(np.uint8)[..., None], 3, axis=2)


def from_array(array: np.ndarray, max_pixels: int) -> np.ndarray:
    """A copy of an `(H, W, 3)`, `(H, W, 4)` or `(H, W)` array, uint8 or uint16.

    Raises:
        InputError: Another array.
        ImageTooLargeError: More than `max_pixels`.
    """
    rule = "arrays must be (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) gray, uint8 or uint16"
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise InputError(f"an array of shape {array.shape} is no image; {rule}.")
    if 0 in array.shape:
        raise InputError(f"an array of shape {array.shape} has no pixels; {rule}.")
    if array.dtype == np.uint16:
        array = np.rint(array / 257).astype(np.uint8)
    if array.dtype != np.uint8:
        raise InputError(
            f"an array of {array.dtype} is no image; {rule}. "
            "Values from 0 to 1 become (array * 255).round().astype('uint8')."
        )
    height, width = array.shape[:2]
    if height * width > max_pixels:
        raise too_large("array", f"{width}x{height}", max_pixels)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.shape[2] == 4:
        from PIL import Image  # noqa: PLC0415

        return to_rgb(Image.fromarray(np.ascontiguousarray(array)))
    return np.array(array, order="C")  # a copy: the caller may reuse a frame buffer


def too_large(name: str, found: str, max_pixels: int) -> ImageTooLargeError:
    """What is raised for an image of too many pixels."""
    return ImageTooLargeError(
        f"{name} is too large ({found}; the limit is {max_pixels / 1e6:g} megapixels). "
        "If you trust it, read it with read_image(path, max_pixels=…) and pass the array."
    )
