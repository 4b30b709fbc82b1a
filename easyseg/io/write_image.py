"""Images out: files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.errors import OutputError

__all__ = [
    "cannot_write",
    "check_ending",
    "encode_image",
    "temporary_neighbour",
    "write_bytes",
    "write_image",
]

WRITABLE = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP",
            ".tif": "TIFF", ".tiff": "TIFF"}  # fmt: skip
JPEG_QUALITY = 95
SAVE_OPTIONS = {
    "JPEG": {"quality": JPEG_QUALITY},
    "PNG": {"compress_level": 3},
    "WEBP": {"quality": 95},
}
JPEG_SIDE = 65500  # pixels


def write_image(path: str | os.PathLike[str], image: Any) -> Path:
    """Writes an image, whole or not at all.

    Args:
        path: Where to; the ending says the format. Missing folders are made.
        image: `(H, W, 3) uint8 RGB`, or a `PIL.Image.Image`.

    Returns:
        The path.

    Raises:
        OutputError: Unknown ending, no permission, disk full. No part of a file is left.
    """
    path = Path(path)
    content = encode_image(image, path.suffix, name=str(path))
    write_bytes(path, content)
    return path


def encode_image(image: Any, suffix: str, *, name: str = "the image") -> bytes:
    """The bytes of the image as a file with this ending, such as ".png"."""
    from PIL import Image  # noqa: PLC0415

    check_ending(Path(f"x{suffix}"), name=name)
    kind = WRITABLE[suffix.lower()]
    content = _by_opencv(image, kind) if isinstance(image, np.ndarray) else None
    if content is not None:
        return content
    pil_image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    try:
        pil_image.save(buffer, kind, **SAVE_OPTIONS.get(kind, {}))
    except (OSError, ValueError) as error:
        raise OutputError(f"{name} cannot be written as {kind} ({error}); use .png.") from error
    return buffer.getvalue()


def _by_opencv(image: np.ndarray, kind: str) -> bytes | None:
    """A JPEG with the same pixels as Pillow's in half the time, or a PNG in two fifths of it.

    Returns:
        `None` where Pillow must encode: other formats, other arrays than `(H, W, 3) uint8 RGB`,
        and what a JPEG cannot hold, which Pillow explains.
    """
    import cv2  # noqa: PLC0415

    from easyseg.io.jpeg import encode_jpeg  # noqa: PLC0415  (OpenCV)

    rgb = image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
    if not rgb:
        return None
    if kind == "JPEG":
        return encode_jpeg(image, JPEG_QUALITY) if max(image.shape) <= JPEG_SIDE else None
    if kind != "PNG":
        return None
    options = (
        *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH),
        *(cv2.IMWRITE_PNG_COMPRESSION, 3),
        *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    )
    done, content = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    return content.tobytes() if done else None


def check_ending(path: Path, *, name: str | None = None) -> None:
    """Raises OutputError if the ending says no format that images are written in."""
    if path.suffix.lower() not in WRITABLE:
        raise OutputError(
            f"{name or path} cannot be written: its ending is not one of {', '.join(WRITABLE)}."
        )


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file through a temporary neighbour, so that readers see all of it or nothing."""
    temporary = None
    try:
        with cannot_write(path):
            temporary = temporary_neighbour(path)
            with temporary.open("xb") as file:
                file.write(content)
            temporary.replace(path)
            temporary = None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def temporary_neighbour(path: Path) -> Path:
    """A name beside `path` for what is not yet whole; makes the folder."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder; give the name of a file in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.stem[:40]}-{uuid.uuid4().hex[:8]}.part")


@contextlib.contextmanager
def cannot_write(path: Path) -> Iterator[None]:
    """Turns what the system says about a place into an OutputError that names it."""
    try:
        yield
    except OutputError:  # it names the place already
        raise
    except OSError as error:
        reason = error.strerror or error
        if isinstance(error, FileNotFoundError):  # folders are made; /proc, for one, takes no file
            reason = "the system makes no files there"
        raise OutputError(
            f"{path} cannot be written ({reason}); choose another place with -o, or make room."
        ) from error
