"""Whether an image may be decoded: its format and size, from its first bytes and its header."""

from __future__ import annotations

import io

from easyseg.errors import EasysegError, ImageTooLargeError
from easyseg.io.open_image import open_image
from easyseg.serve.limits import ServeLimits
from easyseg.serve.problems import Problem

FORMATS = {  # media type: what its files begin with
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/webp": (b"RIFF",),
    "image/bmp": (b"BM",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/tiff": (b"II*\0", b"MM\0*"),
}
NAMES = "JPEG, PNG, WebP, BMP, GIF or TIFF"
MAX_EXIF = 1 << 18  # bytes; cameras write 64 KB at most


def check_image(content: bytes, limits: ServeLimits) -> int:
    """The pixels of an image, of which only the header is read.

    Raises:
        Problem: It may not be decoded.
    """
    if not content:
        raise Problem("no_image", f"The image has 0 bytes. Send a {NAMES} file.")
    if not content.startswith(tuple(start for starts in FORMATS.values() for start in starts)):
        raise Problem("unknown_format", f"The first bytes are not those of a {NAMES} file.")
    name = f"the image of {len(content)} bytes"
    try:
        with open_image(io.BytesIO(content), name, max_pixels=limits.max_pixels) as image:
            animated = image.format != "MPO" and getattr(image, "is_animated", False)
            pixels = image.width * image.height
            exif = len(image.info.get("exif") or b"")
    except ImageTooLargeError as error:
        raise Problem(
            "image_too_large",
            f"The image is too large; up to {limits.max_megapixels:g} megapixels are read, of "
            "progressive JPEG and WebP half of it. Scale it down.",
        ) from error
    except EasysegError as error:
        raise Problem("unreadable_image", str(error)) from error
    if animated:
        raise Problem("animated_image", "The image has several frames. Send one of them.")
    if exif > MAX_EXIF:
        raise Problem(
            "metadata_too_large", f"Its EXIF data are over {MAX_EXIF >> 10} KB. Remove it."
        )
    return pixels
