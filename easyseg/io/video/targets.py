"""Where a film goes: which writer a name means."""

from __future__ import annotations

from pathlib import Path

from easyseg.errors import OutputError
from easyseg.io.video.image_sequence import PictureWriter, picture_pattern
from easyseg.io.video.types import Source
from easyseg.io.video.writer import FILM_ENDINGS, FilmWriter, no_alpha

__all__ = ["check_target", "open_writer"]


def check_target(out: Path, *, alpha: bool = False) -> None:
    """Raises what can be said about the name before any work is done.

    Args:
        out: A film, a folder for PNG files, or a pattern such as `out/%05d.png`.
        alpha: Whether pictures will be transparent.

    Raises:
        OutputError: The ending is unknown, or has no transparency.
        InputError: It is a .png that has no place for a number.
    """
    if picture_pattern(out):
        return
    if out.suffix.lower() not in FILM_ENDINGS:
        raise OutputError(
            f"{out} cannot be written: its ending is not one of {', '.join(FILM_ENDINGS)}; "
            "a name without an ending is a folder for PNG files."
        )
    if alpha and not FILM_ENDINGS[out.suffix.lower()].alpha:
        raise OutputError(no_alpha(out))


def open_writer(out: Path, source: Source) -> FilmWriter | PictureWriter:
    """A writer for the frames of `source`, to be used with `with`.

    Raises:
        OutputError: The place cannot be written.
    """
    check_target(out)
    pattern = picture_pattern(out)
    return PictureWriter(pattern) if pattern else FilmWriter(out, source)
