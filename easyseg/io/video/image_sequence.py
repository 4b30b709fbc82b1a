"""A video as numbered PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from easyseg.errors import InputError, OutputError
from easyseg.io.atomic import output_errors
from easyseg.io.video.types import Frame
from easyseg.io.write_image import write_image

__all__ = ["ImageSequenceWriter", "image_pattern"]

USUAL_NAME = "%05d.png"


class ImageSequenceWriter:
    """Writes each frame as a PNG, numbered from 1 as FFmpeg does; each is there whole or not.

    Args:
        pattern: Where to, with a place for the number: `out/%05d.png`.

    Raises:
        OutputError: The folder cannot be written, or holds a video's images already.
    """

    def __init__(self, pattern: Path) -> None:
        self._frames = 0
        self._pattern = pattern
        with output_errors(pattern):
            pattern.parent.mkdir(parents=True, exist_ok=True)
        first = self._path(1)
        if first.exists():
            raise OutputError(
                f"{first} is there already, and an older, longer video would be mixed with this "
                "one; give a new folder, or remove its images."
            )

    def write(self, image: np.ndarray, frame: Frame) -> None:  # noqa: ARG002  (no times here)
        """Adds an image, `(H, W, 3) uint8 RGB` or `(H, W, 4) uint8 RGBA`."""
        write_image(self._path(self._frames + 1), image)
        self._frames += 1

    def complete(self) -> None:
        """Nothing is left to do."""

    def __enter__(self) -> ImageSequenceWriter:  # noqa: PYI034  (from Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def _path(self, number: int) -> Path:
        return self._pattern.with_name(self._pattern.name % number)


def image_pattern(out: Path) -> Path | None:
    """The pattern that a folder or a pattern means; `None` for the name of a video.

    Raises:
        InputError: It is a .png, but no pattern with one number.
    """
    if out.is_dir() or not out.suffix:
        return out / USUAL_NAME
    if out.suffix.lower() != ".png":
        return None
    try:
        numbered = out.name % 1 != out.name % 2
    except (TypeError, ValueError):
        numbered = False
    if not numbered:
        raise InputError(
            f"{out} is one image, but a video has many; give a pattern such as "
            f"{out.with_name(USUAL_NAME)}, or a folder."
        )
    return out
