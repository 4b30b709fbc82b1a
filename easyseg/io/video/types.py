"""What every source of frames has in common."""

from __future__ import annotations

import time
from collections.abc import Generator
from fractions import Fraction
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

__all__ = [
    "BT601",
    "FULL",
    "LIMITED",
    "WALL_TICKS",
    "ColorSpace",
    "Frame",
    "Source",
    "VideoClock",
    "WallClock",
    "swscale_matrix",
]

WALL_TICKS = Fraction(1, 90_000)  # seconds; the clock of MPEG
LIMITED, FULL = 1, 2  # color ranges: luma from 16 to 235, as players expect, or from 0 to 255
BT601 = 5


class Frame(NamedTuple):
    """An image of a video.

    Attributes:
        image: `(H, W, 3) uint8 RGB`, upright.
        pts: When it is shown, in ticks of the source's `time_base`, from 0.
        duration: How long, in the same ticks.
    """

    image: np.ndarray
    pts: int
    duration: int


class ColorSpace(NamedTuple):
    """How a video's colors are coded, in the numbers of ITU-T H.273; 2 is "not said"."""

    matrix: int = 2
    primaries: int = 2
    transfer: int = 2


def swscale_matrix(matrix: int) -> int:
    """FFmpeg's number, for converting, of a matrix of H.273; unknown ones are ITU-R BT.601."""
    return matrix if matrix in (1, 4, 7, 9) else BT601


@runtime_checkable
class Source(Protocol):
    """A video, a stream or a camera.

    Attributes:
        name: For messages.
        live: Frames come when they come; those that nobody waits for are lost.
        time_base: Seconds in a tick.
        rate: Frames per second, on average.
        expected: How many frames the source says it has.
        aspect: Width of a pixel over its height, if said; right once a frame was read.
        colors: How colors are coded.
        start: Time in the file, in seconds, at which `pts` is 0.
        has_audio: Whether there is a sound track to copy.
        damage: After the last frame: what could not be read, or nothing.
    """

    name: str
    live: bool
    time_base: Fraction
    rate: Fraction
    expected: int | None
    aspect: Fraction | None
    colors: ColorSpace
    start: Fraction
    has_audio: bool
    damage: str

    def frames(self) -> Generator[Frame, None, None]:
        """Each frame once."""

    def close(self) -> None:
        """Gives the file or the device back."""


class WallClock:
    """Times of frames that came just now: a live source's own clock may jump."""

    def __init__(self, rate: Fraction) -> None:
        self._usual = max(1, round(1 / (rate * WALL_TICKS)))
        self._started: float | None = None

    def stamp(self, image: np.ndarray) -> Frame:
        """The image as a frame that was taken now."""
        now = time.monotonic()
        if self._started is None:
            self._started = now
        return Frame(image, round((now - self._started) / WALL_TICKS), self._usual)


class VideoClock:
    """A file's own times, from 0 and never going back, whatever the file says.

    Args:
        start: Ticks in the file at which the video starts.
        usual: Ticks that a frame lasts where the file does not say.
    """

    def __init__(self, start: int, usual: int) -> None:
        self._start, self._usual = start, usual
        self._last = -1
        self.due = 0  # when the next frame should come

    def stamp(self, image: np.ndarray, pts: int | None, duration: int | None) -> Frame:
        """The image as a frame with the file's times, or with those that are due."""
        pts = self.due if pts is None else pts - self._start
        frame = Frame(image, max(pts, self._last + 1), duration or self._usual)
        self._last, self.due = frame.pts, frame.pts + frame.duration
        return frame
