"""Cameras, through OpenCV."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from fractions import Fraction

import cv2

from easyseg.errors import VideoError
from easyseg.io.video.types import WALL_TICKS, ColorSpace, Frame, WallClock

__all__ = ["Camera"]

USUAL_RATE = Fraction(30)


class Camera:
    """A camera of this machine, as `easyseg.io.video.types.Source` has it.

    Args:
        index: 0 is the first camera.

    Raises:
        VideoError: There is no such camera, or another program holds it.
    """

    live = True
    time_base = WALL_TICKS
    expected: int | None = None
    aspect: Fraction | None = None
    colors = ColorSpace()
    has_audio = False
    start = Fraction(0)

    def __init__(self, index: int) -> None:
        self.name = f"camera {index}"
        self.damage = ""
        with _quiet():
            self._capture = cv2.VideoCapture(index)
        if not self._capture.isOpened():
            raise VideoError(
                f"{self.name} cannot be opened; check that it is connected, that no other program "
                "uses it, and its number (0 is the first)."
            )
        said = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = Fraction(said).limit_denominator(1001) if 1 <= said <= 1000 else USUAL_RATE

    def frames(self) -> Generator[Frame, None, None]:
        """Each frame once."""
        clock = WallClock(self.rate)
        while True:
            there, image = self._capture.read()
            if not there:
                self.damage = "the camera stopped sending"
                return
            yield clock.stamp(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))

    def close(self) -> None:
        """Lets the camera go."""
        self._capture.release()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps OpenCV's own lines about a missing camera off the terminal."""
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
