"""Reading images: every kind of source becomes upright `(H, W, 3) uint8 RGB`."""

from __future__ import annotations

import io
import logging
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from easyseg.errors import (
    EasysegError,
    ImageNotFoundError,
    ImageTooLargeError,
    InputError,
    UnreadableImageError,
    printable,
    show_path,
)
from easyseg.io.boxes import boxes
from easyseg.io.color_profile import pixels_to_srgb, profile_of, to_srgb
from easyseg.io.jpeg import apply_orientation, decode_jpeg
from easyseg.io.open_image import (
    IMAGE_EXTENSIONS,
    check_size,
    image_errors,
    open_image,
    orientation_of,
    pixel_limit,
    require_file,
)
from easyseg.io.remote import is_object, read_object
from easyseg.io.wide_rgb import byte_range, full_range

if TYPE_CHECKING:
    import threading

    from PIL import Image

__all__ = ["IMAGE_EXTENSIONS", "ImageSource", "read_image", "require_file"]

log = logging.getLogger(__name__)

ImageSource = Any
"""A path, a URL (http(s), s3, gs), the bytes of a file, a `PIL.Image.Image`, or an array."""

MAX_DOWNLOAD_BYTES = 200 * 2**20
DOWNLOAD_TIMEOUT = 30  # seconds without a byte from a server
DOWNLOAD_SECONDS = 120  # for the whole of an image
ARRAY_RULE = "(H, W, 3) RGB, (H, W, 4) RGBA or (H, W) gray, uint8 or uint16"


def read_image(source: ImageSource, *, max_pixels: int | None = None) -> np.ndarray:
    """Reads an image.

    Images are turned upright by their EXIF tag, and colors of other profiles become sRGB. Gray,
    palette, CMYK, 16-bit, 32-bit and float images become 8-bit RGB; transparent images are blended
    onto white. Of an animation the first frame is read, which is logged.

    Args:
        source: Path, URL (http, https, s3, gs), bytes of a file, `PIL.Image.Image`, or array
            `(H, W, 3)` RGB, `(H, W, 4)` RGBA or `(H, W)` gray, uint8 or uint16. Arrays from
            `cv2.imread` are BGR: convert them with `array[..., ::-1]` first.
        max_pixels: Height times width above which an image is refused; `None` for
            $EASYSEG_MAX_PIXELS, else 125 million.

    Returns:
        `(H, W, 3) uint8 RGB`, contiguous.

    Raises:
        ImageNotFoundError: No such file or URL.
        UnreadableImageError: Not an image, or a damaged one.
        ImageTooLargeError: More than `max_pixels`.
        InputError: Another type of source.
    """
    from PIL import Image  # noqa: PLC0415

    limit = pixel_limit(max_pixels)
    if isinstance(source, np.ndarray):
        return _array_to_rgb(source, limit)
    if isinstance(source, Image.Image):
        check_size(*source.size, "the PIL image", limit)
        with image_errors("the PIL image", limit):
            return _decode(source, "the PIL image")
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read_file(io.BytesIO(source), f"the image of {len(source)} bytes", limit)
    if isinstance(source, str) and source.lower().startswith(("http://", "https://")):
        return _read_file(io.BytesIO(_download(source)), show_path(source), limit)
    if isinstance(source, str) and is_object(source):
        content = read_object(source, MAX_DOWNLOAD_BYTES)
        return _read_file(io.BytesIO(content), show_path(source), limit)
    if isinstance(source, (str, os.PathLike)):
        return _read_file(Path(source), show_path(source), limit)
    raise InputError(
        f"Expected an image, got {type(source).__name__}. Give a path, an http(s) URL, the bytes "
        "of a file, a PIL image or an (H, W, 3) uint8 RGB array."
    )


def _download(url: str) -> bytes:
    from easyseg.utils.network import network_reason, watched  # noqa: PLC0415

    try:
        return watched(lambda stopped: _fetch(url, stopped), DOWNLOAD_SECONDS)
    except EasysegError:
        raise
    except Exception as error:  # noqa: BLE001  (malformed answers raise anything)
        raise UnreadableImageError(
            f"Cannot download {show_path(url)}: {network_reason(error)}. Check the URL and the "
            "network."
        ) from None  # urllib3's traceback is long and says no more


def _fetch(url: str, stopped: threading.Event) -> bytes:
    from easyseg.utils.network import get  # noqa: PLC0415

    content, shown = bytearray(), show_path(url)
    with get(url, headers={}, timeout=DOWNLOAD_TIMEOUT) as response:
        if response.status_code == 404:
            raise ImageNotFoundError(
                f"Cannot read {shown}: it does not exist (HTTP 404). Check the URL."
            )
        response.raise_for_status()
        decode = _decoder(response.headers.get("Content-Encoding", ""), shown)
        for chunk in response.raw.stream(1 << 16, decode_content=False):
            content += decode(chunk, MAX_DOWNLOAD_BYTES + 1 - len(content))
            if len(content) > MAX_DOWNLOAD_BYTES:
                raise ImageTooLargeError(
                    f"Cannot read {shown}: it is larger than {MAX_DOWNLOAD_BYTES >> 20} MB. "
                    "Download it yourself and give its path."
                )
            if stopped.is_set():
                break
    return bytes(content)


def _decoder(encoding: str, shown: str) -> Callable[[bytes, int], bytes]:
    """From a part of the body, and the most bytes that are needed, to those of the image.

    No compression was asked for; a few bytes of one may stand for gigabytes, so its parts are not
    decoded further than needed.
    """
    if encoding.lower() in ("", "identity"):
        return lambda chunk, _: chunk
    if encoding.lower() in ("gzip", "x-gzip"):
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress
    raise UnreadableImageError(
        f"Cannot read {shown}: the server compresses it ({printable(encoding)!r}). Download it "
        "yourself and give its path."
    )


def _read_file(file: Path | IO[bytes], name: str, limit: int) -> np.ndarray:
    with open_image(file, name, max_pixels=limit) as opened:
        full_range(opened, file, name, limit)
        return _decode(opened, name, own=True)


def _decode(image: Image.Image, name: str, *, own: bool = False) -> np.ndarray:
    """The upright pixels.

    Args:
        image: An image.
        name: For messages.
        own: Whether nobody else has it: it is as in its file, and may be closed.
    """
    animated = getattr(image, "is_animated", False) and image.tell() == 0
    if animated and image.format != "MPO":  # whose others are a camera's by-products
        log.warning("%s has several frames; the first one is used.", name)
    pixels = decode_jpeg(image, name) if own else None
    if pixels is None:
        image.load()
        pixels = _pil_to_rgb(image)
    else:
        pixels = pixels_to_srgb(pixels, profile_of(image))
    orientation = orientation_of(image)
    if own:
        image.close()  # what it holds would add up with the turned copy
    return apply_orientation(pixels, orientation)


def _pil_to_rgb(image: Image.Image) -> np.ndarray:
    """`(H, W, 3) uint8`, in boxes: what each needs beside the image would add up otherwise."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    profile = profile_of(image)
    scale = _gray_scale(image) if image.mode.startswith(("I", "F")) else None
    for (left, top, right, bottom), part in _parts(image):
        pixels[top:bottom, left:right] = np.asarray(
            _to_rgb(scale(part) if scale else part, profile)
        )
    return pixels


def _parts(image: Image.Image) -> Iterator[tuple[tuple[int, int, int, int], Image.Image]]:
    return ((box, image.crop(box)) for box in boxes(*image.size))


def _to_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """8-bit gray, palette, CMYK and others as sRGB; transparent ones blended onto white."""
    from PIL import Image  # noqa: PLC0415

    if not image.has_transparency_data:
        return to_srgb(image.convert("RGB") if image.mode in ("P", "1") else image, profile)
    image = image.convert("RGBA")
    opaque = to_srgb(image.convert("RGB"), profile)
    opaque.putalpha(image.getchannel("A"))
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, opaque).convert("RGB")


def _gray_scale(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """How the values of a 16-bit, 32-bit or float image become gray levels from 0 to 255.

    Infinities become the lowest and the highest value, NaN the lowest.
    """
    from PIL import Image  # noqa: PLC0415

    low, high = _finite_range(image)
    offset, factor = byte_range(low, high, floating=image.mode == "F")

    def scale(part: Image.Image) -> Image.Image:
        values = np.nan_to_num(np.asarray(part).astype(float), nan=low, posinf=high, neginf=low)
        return Image.fromarray(np.rint((values - offset) * factor).astype(np.uint8))

    return scale


def _finite_range(image: Image.Image) -> tuple[float, float]:
    lows, highs = [], []
    for _, part in _parts(image):
        values = np.asarray(part)
        values = values[np.isfinite(values)]
        if values.size:
            lows.append(float(values.min()))
            highs.append(float(values.max()))
    return min(lows, default=0.0), max(highs, default=0.0)


def _array_to_rgb(array: np.ndarray, limit: int) -> np.ndarray:
    """A copy of an array as 8-bit RGB: the caller may reuse a frame buffer."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    is_image = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if not is_image or 0 in array.shape:
        raise InputError(f"Expected an array {ARRAY_RULE}, got shape {array.shape}.")
    check_size(array.shape[1], array.shape[0], "the array", limit)
    if array.dtype == np.uint16:  # by table: no float takes eight bytes a pixel
        array = np.rint(np.arange(65536) / 257).astype(np.uint8)[array]
    if array.dtype != np.uint8:
        raise InputError(
            f"Expected an array {ARRAY_RULE}, got {array.dtype}. "
            "Convert values from 0 to 1 by (array * 255).round().astype('uint8')."
        )
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.shape[2] == 4:
        from PIL import Image  # noqa: PLC0415

        return _pil_to_rgb(Image.fromarray(np.ascontiguousarray(array)))
    return np.array(array, order="C")
