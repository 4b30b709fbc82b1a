"""Where a video goes: which writer a name means."""

from __future__ import annotations

from pathlib import Path

from easyseg.errors import OutputError
from easyseg.io.video.image_sequence import ImageSequenceWriter, image_pattern
from easyseg.io.video.types import Source
from easyseg.io.video.writer import VIDEO_EXTENSIONS, VideoWriter, no_alpha

__all__ = ["check_target", "open_writer"]


def check_target(out: Path, *, alpha: bool = False) -> None:
    """Raises what can be said about the name before any work is done.

    Args:
        out: A video, a folder for PNG files, or a pattern such as `out/%05d.png`.
        alpha: Whether images will be transparent.

    Raises:
        OutputError: The ending is unknown, or has no transparency.
        InputError: It is a .png that has no place for a number.
    """
    if image_pattern(out):
        return
    if out.suffix.lower() not in VIDEO_EXTENSIONS:
        raise OutputError(
            f"{out} cannot be written: its ending is not one of {', '.join(VIDEO_EXTENSIONS)}; "
            "a name without an ending is a folder for PNG files."
        )
    if alpha and not VIDEO_EXTENSIONS[out.suffix.lower()].alpha:
        raise OutputError(no_alpha(out))


def open_writer(out: Path, source: Source) -> VideoWriter | ImageSequenceWriter:
    """A writer for the frames of `source`, to be used with `with`.

    Raises:
        OutputError: The place cannot be written.
    """
    check_target(out)
    pattern = image_pattern(out)
    return ImageSequenceWriter(pattern) if pattern else VideoWriter(out, source)
