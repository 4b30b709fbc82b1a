"""Pictures out: files that are written whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from pathlib import Path
from typing import Any

from easyseg.errors import OutputError

__all__ = ["encode_image", "write_bytes", "write_image"]

WRITABLE = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP",
            ".tif": "TIFF", ".tiff": "TIFF"}  # fmt: skip
SAVE_OPTIONS = {"JPEG": {"quality": 95}, "PNG": {"compress_level": 3}, "WEBP": {"quality": 95}}


def write_image(path: str | os.PathLike[str], picture: Any) -> Path:
    """Writes a picture, whole or not at all.

    Args:
        path: Where to; the ending says the format. Missing folders are made.
        picture: `(H, W, 3) uint8 RGB`, or a `PIL.Image.Image`.

    Returns:
        The path.

    Raises:
        OutputError: Unknown ending, no permission, disk full. No part of a file is left.
    """
    path = Path(path)
    content = encode_image(picture, path.suffix, name=str(path))
    write_bytes(path, content)
    return path


def encode_image(picture: Any, suffix: str, *, name: str = "the picture") -> bytes:
    """The bytes of the picture as a file with this ending, such as ".png"."""
    from PIL import Image  # noqa: PLC0415

    kind = WRITABLE.get(suffix.lower())
    if kind is None:
        raise OutputError(
            f"{name} cannot be written: its ending is not one of {', '.join(WRITABLE)}."
        )
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    try:
        image.save(buffer, kind, **SAVE_OPTIONS.get(kind, {}))
    except (OSError, ValueError) as error:
        raise OutputError(f"{name} cannot be written as {kind} ({error}); use .png.") from error
    return buffer.getvalue()


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file through a temporary neighbour, so that readers see all of it or nothing."""
    temporary = None
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder; give the name of a file in it")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(
            prefix=f".{path.stem[:40]}-", suffix=".part", dir=path.parent
        )
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror or error}); "
            "choose another place with -o, or make room."
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
