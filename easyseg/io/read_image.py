"""Images in: every kind of source becomes upright `(H, W, 3) uint8 RGB`."""

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
from easyseg.io.jpeg import REDUCED, TRANSPOSED, read_jpeg, turned
from easyseg.io.pixels import MAX_PIXELS, from_array, to_rgb, too_large

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

SPARE = 1.5  # times as many pixels along a side as will be needed, which are shrunk as usual

_lock = threading.Lock()  # of Pillow's limit and of the warning filters, which are global

# what Pillow's decoders raise for files that are damaged
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, struct.error)
MAX_DOWNLOAD = 200 * 2**20
TIMEOUT = 30  # seconds without a byte from a server
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")


def read_image(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Reads an image.

    Images are turned upright by their EXIF tag. Gray, palette, CMYK and 16-bit images become
    8-bit RGB; transparency is laid over white; of an animation the first frame is taken, which
    is logged.

    Args:
        source: Path, http(s) address, bytes of a file, `PIL.Image.Image`, or array `(H, W, 3)`
            RGB, `(H, W, 4)` RGBA or `(H, W)` gray, uint8 or uint16. Arrays from `cv2.imread`
            are BGR: turn them with `array[..., ::-1]` first.
        max_pixels: Height times width above which an image is refused.

    Returns:
        `(H, W, 3) uint8 RGB`, contiguous.

    Raises:
        ImageNotFoundError: No such file or address.
        UnreadableImageError: Not an image, or a damaged one.
        ImageTooLargeError: More than `max_pixels`.
        InputError: Not a kind of source that is known.
    """
    return _read(source, max_pixels)[0]


def read_shrunk(
    source: ImageSource, room: tuple[int, int], *, max_pixels: int = MAX_PIXELS
) -> tuple[np.ndarray, tuple[int, int]]:
    """Reads an image that will be shrunk into some room, which decoding may begin with.

    Of a JPEG that is several times larger only the lower frequencies are decoded: a half, a
    quarter or an eighth of its sides, but not less than `SPARE` of what the room takes.

    Args:
        source: As in `read_image`, and so are the errors.
        room: `(height, width)`.
        max_pixels: As in `read_image`.

    Returns:
        `(h, w, 3) uint8 RGB`, and the height and width of the image itself.
    """
    return _read(source, max_pixels, room)


def _read(
    source: ImageSource, max_pixels: int, room: tuple[int, int] | None = None
) -> tuple[np.ndarray, tuple[int, int]]:
    from PIL import Image  # noqa: PLC0415

    if isinstance(source, np.ndarray):
        return _whole(from_array(source, max_pixels))
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
        f"an image cannot be read from {type(source).__name__}; give a path, an http(s) "
        "address, bytes, a PIL image or an (H, W, 3) uint8 RGB array."
    )


def require_file(path: Path) -> None:
    """Raises the ImageError that says why there is no image at `path`, if there is none."""
    try:
        is_folder, exists = path.is_dir(), path.exists()
        size = path.stat().st_size if exists else 0
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise _cannot_open(str(path), error) from error
    if is_folder:
        raise UnreadableImageError(
            f"{path} is a folder, not an image; `easyseg segment {path}` takes folders."
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
            f"{name} is not an image in a format that Pillow reads; "
            "convert it to JPEG or PNG (for HEIC, `pip install pillow-heif`; videos are for "
            "`easyseg video`)."
        ) from error
    except Image.DecompressionBombError as error:
        raise too_large(name, f"over {2 * max_pixels / 1e6:g}", max_pixels) from error
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
        raise too_large(name, f"{width}x{height}", max_pixels)
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
            warnings.simplefilter("ignore", UserWarning)  # damaged EXIF: the image is what counts
            turn = image.getexif().get(ExifTags.Base.Orientation, 1)
            if pixels is None and turn != 1:  # it copies always
                image = ImageOps.exif_transpose(image)
        if pixels is None:
            return _whole(to_rgb(image))
        own = (width, height) if turn in TRANSPOSED else (height, width)
        return turned(pixels, turn), own
    except Image.DecompressionBombError as error:
        raise too_large(name, f"a frame of it: {error}", max_pixels) from error
    except DAMAGE as error:
        raise _damaged(name, error) from error


def _shrink(size: tuple[int, int], room: tuple[int, int]) -> int:
    """How many times smaller an image may be decoded, however it lies."""
    spare = max(size) / max(room) / SPARE
    return max(times for times in REDUCED if times <= max(1, spare))


def _damaged(name: str, error: Exception) -> UnreadableImageError:
    return UnreadableImageError(f"{name} is damaged ({error}); copy or download it again.")


def _cannot_open(name: str, error: OSError) -> UnreadableImageError:
    return UnreadableImageError(
        f"{name} cannot be opened ({error.strerror}); check its name and its permissions."
    )
