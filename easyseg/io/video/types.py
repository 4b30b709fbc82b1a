"""Frames, their timestamps, and what every source of frames has in common."""

from __future__ import annotations

import time
from collections.abc import Generator
from fractions import Fraction
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from easyseg.io.video.audio import AudioTrack

LIVE_TIME_BASE = Fraction(1, 90_000)  # seconds; the clock of MPEG
LIMITED_RANGE, FULL_RANGE = 1, 2  # luma from 16 to 235, as players expect, or from 0 to 255
BT601 = 5


class Frame(NamedTuple):
    """An image of a video.

    Attributes:
        image: `(H, W, 3) uint8 RGB`, upright.
        pts: Presentation timestamp in ticks of the source's `time_base`, from 0.
        duration: How long it is shown, in the same ticks.
    """

    image: np.ndarray
    pts: int
    duration: int


class ColorSpace(NamedTuple):
    """How a video's colors are encoded, in the numbers of ITU-T H.273; 2 is "unspecified"."""

    matrix: int = 2
    primaries: int = 2
    transfer: int = 2


def swscale_matrix(matrix: int) -> int:
    """FFmpeg's number, for conversions, of a matrix of H.273; unknown ones are ITU-R BT.601."""
    return matrix if matrix in (1, 4, 7, 9) else BT601


@runtime_checkable
class VideoSource(Protocol):
    """A video, a stream or a camera.

    Attributes:
        name: For messages.
        live: Frames arrive in real time; those that nobody takes in time are lost.
        time_base: Seconds per tick.
        rate: Frames per second, on average.
        expected: Number of frames according to the source; `None` if unknown.
        aspect: Width of a pixel over its height, if specified; valid after the first frame.
        colors: How colors are encoded.
        audio: The audio that can be copied, if any.
        damage: After the last frame: what could not be read, or "".
    """

    name: str
    live: bool
    time_base: Fraction
    rate: Fraction
    expected: int | None
    aspect: Fraction | None
    colors: ColorSpace
    audio: AudioTrack | None
    damage: str

    def frames(self) -> Generator[Frame, None, None]:
        """Each frame once."""

    def close(self) -> None:
        """Releases the file or the device."""


class LiveTimestamps:
    """Timestamps of frames by their arrival: a live source's own clock may jump."""

    def __init__(self, rate: Fraction) -> None:
        self._duration = max(1, round(1 / (rate * LIVE_TIME_BASE)))
        self._started: float | None = None

    def frame(self, image: np.ndarray) -> Frame:
        """The image as a frame that arrived now."""
        now = time.monotonic()
        if self._started is None:
            self._started = now
        return Frame(image, round((now - self._started) / LIVE_TIME_BASE), self._duration)


class FileTimestamps:
    """A file's own timestamps, made to begin at 0 and to increase.

    Args:
        start: Ticks in the file at which the video starts.
        usual_duration: Ticks of a frame for which the file has no duration.
    """

    def __init__(self, start: int, usual_duration: int) -> None:
        self._start, self._usual_duration = start, usual_duration
        self._last = -1
        self.next_pts = 0

    def frame(self, image: np.ndarray, pts: int | None, duration: int | None) -> Frame:
        """The image as a frame; without a `pts` it follows the frame before."""
        pts = self.next_pts if pts is None else pts - self._start
        frame = Frame(image, max(pts, self._last + 1), duration or self._usual_duration)
        self._last, self.next_pts = frame.pts, frame.pts + frame.duration
        return frame
