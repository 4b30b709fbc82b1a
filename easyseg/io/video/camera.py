"""Cameras, through OpenCV."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from fractions import Fraction

import cv2

from easyseg.errors import VideoError
from easyseg.io.video.audio import AudioTrack
from easyseg.io.video.types import LIVE_TIME_BASE, ColorSpace, Frame, LiveTimestamps

DEFAULT_RATE = Fraction(30)


class Camera:
    """A camera of this machine, as an `easyseg.io.video.types.VideoSource`.

    Args:
        index: 0 is the first camera.

    Raises:
        VideoError: There is no such camera, or another program uses it.
    """

    live = True
    time_base = LIVE_TIME_BASE
    expected: int | None = None
    aspect: Fraction | None = None
    colors = ColorSpace()
    audio: AudioTrack | None = None

    def __init__(self, index: int) -> None:
        self.name = f"camera {index}"
        self.damage = ""
        with _opencv_silent():
            self._capture = cv2.VideoCapture(index)
        if not self._capture.isOpened():
            raise VideoError(
                f"Cannot open {self.name}. Check that it is connected, that no other program uses "
                "it, and its index (0 is the first camera)."
            )
        self.rate = frame_rate(self._capture)

    def frames(self) -> Generator[Frame, None, None]:
        """Each frame once."""
        timestamps = LiveTimestamps(self.rate)
        while True:
            available, image = self._capture.read()
            if not available:
                self.damage = "the camera stopped sending"
                return
            yield timestamps.frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))

    def close(self) -> None:
        """Releases the camera."""
        self._capture.release()


def frame_rate(capture: cv2.VideoCapture) -> Fraction:
    """Frames per second according to the device, if that is plausible."""
    rate = capture.get(cv2.CAP_PROP_FPS)
    return Fraction(rate).limit_denominator(1001) if 1 <= rate <= 1000 else DEFAULT_RATE


@contextlib.contextmanager
def _opencv_silent() -> Iterator[None]:
    """Without OpenCV's own messages about a missing camera."""
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
