"""Videos as numbered PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from easyseg.errors import InputError, OutputError
from easyseg.io.atomic import output_errors
from easyseg.io.video.types import Frame
from easyseg.io.write_image import write_image

DEFAULT_NAME = "%05d.png"


class ImageSequenceWriter:
    """Writes each frame as a PNG file, numbered from 1 as FFmpeg does.

    Args:
        pattern: Output path with a placeholder for the number: `out/%05d.png`.

    Raises:
        OutputError: The folder cannot be written, or contains frames already.
    """

    def __init__(self, pattern: Path) -> None:
        self._frames = 0
        self._pattern = pattern
        with output_errors(pattern):
            pattern.parent.mkdir(parents=True, exist_ok=True)
        first = self._path(1)
        if first.exists():
            raise OutputError(
                f"Cannot write frames to {pattern.parent}: {first.name} exists, and the frames of "
                "two videos would be mixed. Choose a new folder or delete the old frames."
            )

    def write(self, image: Any, frame: Frame) -> None:  # noqa: ARG002  (as VideoWriter)
        """Writes `(H, W, 3) uint8 RGB`, `(H, W, 4) uint8 RGBA`, or a PIL image of ids."""
        write_image(self._path(self._frames + 1), image)
        self._frames += 1

    def complete(self) -> None:
        """Nothing is left to write."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def _path(self, number: int) -> Path:
        return self._pattern.with_name(self._pattern.name % number)


def image_pattern(out: Path) -> Path | None:
    """The pattern for frames if `out` is a folder or a pattern; `None` for the path of a video.

    Raises:
        InputError: It is a .png without one placeholder for the number.
    """
    if out.is_dir() or not out.suffix:
        return out / DEFAULT_NAME
    if out.suffix.lower() != ".png":
        return None
    try:
        numbered = out.name % 1 != out.name % 2
    except (TypeError, ValueError):
        numbered = False
    if not numbered:
        raise InputError(
            f"Cannot write a video to the single image {out}. Give a pattern such as "
            f"{out.with_name(DEFAULT_NAME)}, or a folder."
        )
    return out
