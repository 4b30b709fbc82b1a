"""Reading images: every kind of source becomes upright `(H, W, 3) uint8 RGB`."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import struct
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from easyseg.errors import (
    ImageNotFoundError,
    ImageTooLargeError,
    InputError,
    UnreadableImageError,
    os_reason,
)
from easyseg.io.jpeg import apply_orientation, decode_jpeg

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "DECODE_ERRORS",
    "IMAGE_EXTENSIONS",
    "MAX_PIXELS",
    "ImageSource",
    "read_image",
    "require_file",
]

log = logging.getLogger(__name__)

ImageSource = Any
"""A path, an http(s) URL, the bytes of a file, a `PIL.Image.Image`, or an array."""

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
MAX_PIXELS = 250_000_000
"""Images with more pixels are refused before they are decoded; see `read_image`."""
MAX_DOWNLOAD_BYTES = 200 * 2**20
DOWNLOAD_TIMEOUT = 30  # seconds without a byte from a server
STRIPE_HEIGHT = 64  # rows
ARRAY_RULE = "(H, W, 3) RGB, (H, W, 4) RGBA or (H, W) gray, uint8 or uint16"

DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, struct.error)
"""What Pillow's decoders raise for damaged files."""

_lock = threading.Lock()  # of Pillow's limit and of the warning filters, which are global


def read_image(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Reads an image.

    Images are turned upright by their EXIF tag. Gray, palette, CMYK and 16-bit images become
    8-bit RGB; transparent images are blended onto white. Of an animation the first frame is
    read, which is logged.

    Args:
        source: Path, http(s) URL, bytes of a file, `PIL.Image.Image`, or array `(H, W, 3)`
            RGB, `(H, W, 4)` RGBA or `(H, W)` gray, uint8 or uint16. Arrays from `cv2.imread`
            are BGR: convert them with `array[..., ::-1]` first.
        max_pixels: Height times width above which an image is refused.

    Returns:
        `(H, W, 3) uint8 RGB`, contiguous.

    Raises:
        ImageNotFoundError: No such file or URL.
        UnreadableImageError: Not an image, or a damaged one.
        ImageTooLargeError: More than `max_pixels`.
        InputError: Another type of source.
    """
    from PIL import Image  # noqa: PLC0415

    if isinstance(source, np.ndarray):
        return _array_to_rgb(source, max_pixels)
    if isinstance(source, Image.Image):
        return _decode(source, "the PIL image", max_pixels)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read_file(io.BytesIO(source), f"the image of {len(source)} bytes", max_pixels)
    if isinstance(source, str) and source.lower().startswith(("http://", "https://")):
        return _read_file(io.BytesIO(_download(source)), source, max_pixels)
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        require_file(path)
        return _read_file(path, str(path), max_pixels)
    raise InputError(
        f"Expected an image, got {type(source).__name__}. Give a path, an http(s) URL, the bytes "
        "of a file, a PIL image or an (H, W, 3) uint8 RGB array."
    )


def require_file(path: Path) -> None:
    """Raises the ImageError that says why no image can be read from `path`, if so."""
    try:
        is_folder, exists = path.is_dir(), path.exists()
        size = path.stat().st_size if exists else 0
    except OSError as error:  # a name that is too long, a folder without permission
        raise _cannot_open(str(path), error) from error
    if is_folder:
        raise UnreadableImageError(
            f"Expected an image, got the folder {path}. Give the path of one file in it."
        )
    if not exists and path.is_symlink():
        raise ImageNotFoundError(
            f"Cannot read {path}: it is a link to {path.readlink()}, which does not exist. "
            "Fix or remove the link."
        )
    if not exists:
        raise ImageNotFoundError(
            f"Cannot read {path}: it does not exist. "
            f"Check the path (the working directory is {Path.cwd()})."
        )
    if size == 0 and path.is_file():  # a pipe has no size
        raise UnreadableImageError(
            f"Cannot read {path}: it is empty (0 bytes). Copy or download it again."
        )


def _download(url: str) -> bytes:
    import requests  # noqa: PLC0415

    content = bytearray()
    try:
        with requests.get(url, stream=True, timeout=DOWNLOAD_TIMEOUT) as response:
            if response.status_code == 404:
                raise ImageNotFoundError(
                    f"Cannot read {url}: it does not exist (HTTP 404). Check the URL."
                )
            response.raise_for_status()
            for chunk in response.iter_content(1 << 16):
                content += chunk
                if len(content) > MAX_DOWNLOAD_BYTES:
                    raise ImageTooLargeError(
                        f"Cannot read {url}: it is larger than {MAX_DOWNLOAD_BYTES >> 20} MB. "
                        "Download it yourself and give its path."
                    )
    except requests.RequestException as error:
        raise UnreadableImageError(
            f"Cannot download {url} ({type(error).__name__}: {error}). "
            "Check the URL and the network."
        ) from error
    return bytes(content)


def _read_file(file: Any, name: str, max_pixels: int) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415

    try:
        with _pillow_limit(max_pixels), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of bombs, for which there is max_pixels, and of EXIF
            image = Image.open(file)
    except UnidentifiedImageError as error:
        raise UnreadableImageError(
            f"Cannot read {name}: not an image in a format that Pillow reads. "
            "Convert it to JPEG or PNG."
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_large(name, f"over {2 * max_pixels / 1e6:g} megapixels", max_pixels) from error
    except OSError as error:
        raise (_cannot_open if error.errno else _damaged)(name, error) from error
    except DECODE_ERRORS as error:
        raise _damaged(name, error) from error
    with image:
        return _decode(image, name, max_pixels, undecoded=True)


@contextlib.contextmanager
def _pillow_limit(max_pixels: int) -> Iterator[None]:
    """Lets Pillow open what `max_pixels` allows; it refuses twice its own limit."""
    from PIL import Image  # noqa: PLC0415

    with _lock:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = max(max_pixels, before or 0)
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _decode(
    image: Image.Image, name: str, max_pixels: int, *, undecoded: bool = False
) -> np.ndarray:
    """The upright pixels; an image that a user gave may differ from its file by now."""
    from PIL import ExifTags, Image, ImageOps  # noqa: PLC0415

    width, height = image.size
    if width * height > max_pixels:
        raise _too_large(name, f"{width}x{height}", max_pixels)
    if width * height == 0:
        raise UnreadableImageError(
            f"Cannot read {name}: it has no pixels ({width}x{height}). Give another image."
        )
    try:
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.tell() == 0 and image.format != "MPO":  # a camera's by-products
            log.warning("%s has %d frames; the first one is used.", name, frames)
        pixels = decode_jpeg(image) if undecoded else None
        if pixels is None:
            image.load()
        with _lock, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # damaged EXIF does not harm the pixels
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
            if pixels is None and orientation != 1:  # it always copies
                image = ImageOps.exif_transpose(image)
        return _pil_to_rgb(image) if pixels is None else apply_orientation(pixels, orientation)
    except Image.DecompressionBombError as error:
        raise _too_large(name, f"a frame of it: {error}", max_pixels) from error
    except DECODE_ERRORS as error:
        raise _damaged(name, error) from error


def _pil_to_rgb(image: Image.Image) -> np.ndarray:
    """Gray, palette, CMYK and wide images as 8-bit RGB; transparent ones blended onto white."""
    from PIL import Image  # noqa: PLC0415

    if image.mode.startswith("I;16"):
        return _array_to_rgb(np.asarray(image).astype(np.uint16), MAX_PIXELS)
    if image.mode in ("F", "I"):
        return _wide_gray_to_rgb(np.asarray(image))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return _copy_pixels(image if image.mode == "RGB" else image.convert("RGB"))


def _copy_pixels(image: Image.Image) -> np.ndarray:
    """`(H, W, 3) uint8`, in stripes: Pillow needs twice the memory of what it hands over."""
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, STRIPE_HEIGHT):
        bottom = min(top + STRIPE_HEIGHT, height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return pixels


def _wide_gray_to_rgb(values: np.ndarray) -> np.ndarray:
    """32-bit and float images, whose range is unknown: 0 to 1, 0 to 255, 0 to 65535, or any.

    NaN becomes the lowest finite value; infinities become the lowest and the highest.
    """
    is_float = values.dtype.kind == "f"
    values = values.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    if is_float and low >= 0 and high <= 1:
        gray = values * 255
    elif low >= 0 and high <= 65535:
        gray = values / 257 if high > 255 else values
    else:
        gray = (values - low) / max(high - low, 1e-12) * 255
    return np.repeat(np.rint(gray).astype(np.uint8)[..., None], 3, axis=2)


def _array_to_rgb(array: np.ndarray, max_pixels: int) -> np.ndarray:
    """A copy of an array as 8-bit RGB: the caller may reuse a frame buffer."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    is_image = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if not is_image or 0 in array.shape:
        raise InputError(f"Expected an array {ARRAY_RULE}, got shape {array.shape}.")
    if array.dtype == np.uint16:
        array = np.rint(array / 257).astype(np.uint8)
    if array.dtype != np.uint8:
        raise InputError(
            f"Expected an array {ARRAY_RULE}, got {array.dtype}. "
            "Convert values from 0 to 1 by (array * 255).round().astype('uint8')."
        )
    height, width = array.shape[:2]
    if height * width > max_pixels:
        raise _too_large("the array", f"{width}x{height}", max_pixels)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.shape[2] == 4:
        from PIL import Image  # noqa: PLC0415

        return _pil_to_rgb(Image.fromarray(np.ascontiguousarray(array)))
    return np.array(array, order="C")


def _too_large(name: str, size: str, max_pixels: int) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"Cannot read {name}: it is too large ({size}; the limit is {max_pixels / 1e6:g} "
        "megapixels). Scale it down first, or raise max_pixels of read_image."
    )


def _damaged(name: str, error: Exception) -> UnreadableImageError:
    return UnreadableImageError(
        f"Cannot read {name}: it is damaged ({error}). Copy or download it again."
    )


def _cannot_open(name: str, error: OSError) -> UnreadableImageError:
    return UnreadableImageError(
        f"Cannot read {name}: {os_reason(error)}. Check its name and its permissions."
    )
