"""Pictures in: every kind of source becomes upright `(H, W, 3) uint8 RGB`."""

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
)
from easyseg.jpeg import REDUCED, TRANSPOSED, read_jpeg, turned

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "ImageSource",
    "read_image",
    "read_shrunk",
    "require_file",
]

log = logging.getLogger(__name__)

ImageSource = Any
"""A path, an http(s) address, the file's bytes, a `PIL.Image.Image`, or an array."""

MAX_PIXELS = 250_000_000
"""Pictures with more pixels are refused before they are decoded; see `read_image`."""

SPARE = 1.5  # times as many pixels along a side as will be needed, which are shrunk as usual

_lock = threading.Lock()  # of Pillow's limit and of the warning filters, which are global

# what Pillow's decoders raise for files that are damaged
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, struct.error)
MAX_DOWNLOAD = 200 * 2**20
TIMEOUT = 30  # seconds without a byte from a server
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")


def read_image(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Reads a picture.

    Photos are turned upright by their EXIF tag. Grey, palette, CMYK and 16-bit pictures become
    8-bit RGB; transparency is laid over white; of an animation the first frame is taken, which
    is logged.

    Args:
        source: Path, http(s) address, bytes of a file, `PIL.Image.Image`, or array `(H, W, 3)`
            RGB, `(H, W, 4)` RGBA or `(H, W)` grey, uint8 or uint16. Arrays from `cv2.imread`
            are BGR: turn them with `array[..., ::-1]` first.
        max_pixels: Height times width above which a picture is refused.

    Returns:
        `(H, W, 3) uint8 RGB`, contiguous.

    Raises:
        ImageNotFoundError: No such file or address.
        UnreadableImageError: Not a picture, or a damaged one.
        ImageTooLargeError: More than `max_pixels`.
        InputError: Not a kind of source that is known.
    """
    return _read(source, max_pixels)[0]


def read_shrunk(
    source: ImageSource, room: tuple[int, int], *, max_pixels: int = MAX_PIXELS
) -> tuple[np.ndarray, tuple[int, int]]:
    """Reads a picture that will be shrunk into some room, which decoding may begin with.

    Of a JPEG that is several times larger only the lower frequencies are decoded: a half, a
    quarter or an eighth of its sides, but not less than `SPARE` of what the room takes.

    Args:
        source: As in `read_image`, and so are the errors.
        room: `(height, width)`.
        max_pixels: As in `read_image`.

    Returns:
        `(h, w, 3) uint8 RGB`, and the height and width of the picture itself.
    """
    return _read(source, max_pixels, room)


def _read(
    source: ImageSource, max_pixels: int, room: tuple[int, int] | None = None
) -> tuple[np.ndarray, tuple[int, int]]:
    from PIL import Image  # noqa: PLC0415

    if isinstance(source, np.ndarray):
        return _whole(_from_array(source, max_pixels))
    if isinstance(source, Image.Image):
        return _decode(source, "PIL image", max_pixels)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _open(io.BytesIO(source), f"{len(source)} bytes", max_pixels, room)
    if isinstance(source, str) and source.lower().startswith(("http://", "https://")):
        return _open(io.BytesIO(_download(source)), source, max_pixels, room)
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        require_file(path)
        return _open(path, str(path), max_pixels, room)
    raise InputError(
        f"a picture cannot be read from {type(source).__name__}; give a path, an http(s) "
        "address, bytes, a PIL image or an (H, W, 3) uint8 RGB array."
    )


def require_file(path: Path) -> None:
    """Raises the ImageError that says why there is no picture at `path`, if there is none."""
    try:
        is_folder, exists = path.is_dir(), path.exists()
        size = path.stat().st_size if exists else 0
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise _cannot_open(str(path), error) from error
    if is_folder:
        raise UnreadableImageError(
            f"{path} is a folder, not a picture; `easyseg segment {path}` takes folders."
        )
    if not exists and path.is_symlink():
        raise ImageNotFoundError(
            f"{path} is a link to {path.readlink()}, which does not exist; mend or remove it."
        )
    if not exists:
        raise ImageNotFoundError(
            f"{path} does not exist; check the path (working folder {Path.cwd()})."
        )
    if size == 0 and path.is_file():  # a pipe has no size
        raise UnreadableImageError(f"{path} is empty (0 bytes); copy or download it again.")


def _download(address: str) -> bytes:
    import requests  # noqa: PLC0415

    content = bytearray()
    try:
        with requests.get(address, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 404:
                raise ImageNotFoundError(f"{address} does not exist (HTTP 404); check the address.")
            response.raise_for_status()
            for chunk in response.iter_content(1 << 16):
                content += chunk
                if len(content) > MAX_DOWNLOAD:
                    raise ImageTooLargeError(
                        f"{address} is larger than {MAX_DOWNLOAD >> 20} MB; download it by hand."
                    )
    except requests.RequestException as error:
        raise UnreadableImageError(
            f"{address} cannot be fetched ({type(error).__name__}: {error}); "
            "check the address and the network."
        ) from error
    return bytes(content)


def _whole(pixels: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    return pixels, (pixels.shape[0], pixels.shape[1])


def _open(
    file: Any, name: str, max_pixels: int, room: tuple[int, int] | None
) -> tuple[np.ndarray, tuple[int, int]]:
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415

    try:
        with _pillow_limit(max_pixels), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of bombs, for which there is max_pixels, and of EXIF
            image = Image.open(file)
    except UnidentifiedImageError as error:
        raise UnreadableImageError(
            f"{name} is not a picture in a format that Pillow reads; "
            "convert it to JPEG or PNG (for HEIC, `pip install pillow-heif`; films are for "
            "`easyseg video`)."
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_large(name, f"over {2 * max_pixels / 1e6:g}", max_pixels) from error
    except OSError as error:
        raise (_cannot_open if error.errno else _damaged)(name, error) from error
    except DAMAGE as error:
        raise _damaged(name, error) from error
    with image:
        return _decode(image, name, max_pixels, room, fresh=True)


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
    image: Image.Image,
    name: str,
    max_pixels: int,
    room: tuple[int, int] | None = None,
    *,
    fresh: bool = False,
) -> tuple[np.ndarray, tuple[int, int]]:
    from PIL import ExifTags, Image, ImageOps  # noqa: PLC0415

    width, height = image.size
    if width * height > max_pixels:
        raise _too_large(name, f"{width}x{height}", max_pixels)
    if width * height == 0:
        raise UnreadableImageError(f"{name} has no pixels ({width}x{height}); give another.")
    try:
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.tell() == 0 and image.format != "MPO":  # a camera's by-products
            log.warning("%s has %d frames; the first one is used.", name, frames)
        # of one that is not fresh, others may have drawn on the pixels
        shrink = _shrink((height, width), room) if room else 1
        pixels = read_jpeg(image, shrink=shrink) if fresh else None
        if pixels is None:
            image.load()
        with _lock, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # damaged EXIF: the picture is what counts
            turn = image.getexif().get(ExifTags.Base.Orientation, 1)
            if pixels is None and turn != 1:  # it copies always
                image = ImageOps.exif_transpose(image)
        if pixels is None:
            return _whole(_to_rgb(image))
        own = (width, height) if turn in TRANSPOSED else (height, width)
        return turned(pixels, turn), own
    except Image.DecompressionBombError as error:
        raise _too_large(name, f"a frame of it: {error}", max_pixels) from error
    except DAMAGE as error:
        raise _damaged(name, error) from error


def _shrink(size: tuple[int, int], room: tuple[int, int]) -> int:
    """How many times smaller a picture may be decoded, however it lies."""
    spare = max(size) / max(room) / SPARE
    return max(times for times in REDUCED if times <= max(1, spare))


def _damaged(name: str, error: Exception) -> UnreadableImageError:
    return UnreadableImageError(f"{name} is damaged ({error}); copy or download it again.")


def _cannot_open(name: str, error: OSError) -> UnreadableImageError:
    return UnreadableImageError(
        f"{name} cannot be opened ({error.strerror}); check its name and its permissions."
    )


def _to_rgb(image: Image.Image) -> np.ndarray:
    from PIL import Image  # noqa: PLC0415

    if image.mode.startswith("I;16"):
        return _from_array(np.asarray(image).astype(np.uint16), MAX_PIXELS)
    if image.mode in ("F", "I"):
        return _from_wide_grey(np.asarray(image))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return _pixels(image if image.mode == "RGB" else image.convert("RGB"))


def _pixels(image: Image.Image) -> np.ndarray:
    """`(H, W, 3) uint8`, in stripes: Pillow needs the picture's memory twice to hand it over."""
    width, height = image.size
    out = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, 64):
        bottom = min(top + 64, height)
        out[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return out


def _from_wide_grey(values: np.ndarray) -> np.ndarray:
    """32-bit and float pictures, whose scale is not known: 0 to 1, 0 to 255, 0 to 65535, or any.

    Float pictures may hold NaN and infinities, which become the darkest and brightest values.
    """
    fractions = values.dtype.kind == "f"
    values = values.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    if fractions and low >= 0 and high <= 1:
        grey = values * 255
    elif low >= 0 and high <= 65535:
        grey = values / 257 if high > 255 else values
    else:
        grey = (values - low) / max(high - low, 1e-12) * 255
    return np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)


def _from_array(array: np.ndarray, max_pixels: int) -> np.ndarray:
    rule = "arrays must be (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey, uint8 or uint16"
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise InputError(f"an array of shape {array.shape} is no picture; {rule}.")
    if 0 in array.shape:
        raise InputError(f"an array of shape {array.shape} has no pixels; {rule}.")
    if array.dtype == np.uint16:
        array = np.rint(array / 257).astype(np.uint8)
    if array.dtype != np.uint8:
        raise InputError(
            f"an array of {array.dtype} is no picture; {rule}. "
            "Values from 0 to 1 become (array * 255).round().astype('uint8')."
        )
    height, width = array.shape[:2]
    if height * width > max_pixels:
        raise _too_large("array", f"{width}x{height}", max_pixels)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.shape[2] == 4:
        from PIL import Image  # noqa: PLC0415

        return _to_rgb(Image.fromarray(np.ascontiguousarray(array)))
    return np.array(array, order="C")  # a copy: the caller may reuse a frame buffer


def _too_large(name: str, found: str, max_pixels: int) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"{name} is too large ({found}; the limit is {max_pixels / 1e6:g} megapixels). "
        "If you trust it, read it with read_image(path, max_pixels=…) and pass the array."
    )
