"""A part of a video, as a source of frames."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from easyseg.errors import InputError
from easyseg.io.video.types import Frame, VideoSource


class Clip:
    """The frames of a source from `start` to `end`, with timestamps from 0.

    Args:
        source: The whole video. None of its frames may have been read.
        start: Seconds before the first frame of the clip.
        end: Seconds at which the clip ends; `None` for all that follows.
    """

    def __init__(self, source: VideoSource, start: float, end: float | None) -> None:
        self._source, self._seconds = source, start
        self.name, self.live, self.time_base = source.name, source.live, source.time_base
        self.rate, self.aspect, self.colors = source.rate, source.aspect, source.colors
        self.audio, self.damage = source.audio, ""
        self._start = round(start / source.time_base)
        self._end = None if end is None else round(end / source.time_base)
        self.expected = source.expected
        if source.expected is not None:
            last = source.expected if end is None else min(source.expected, round(end * self.rate))
            self.expected = max(0, last - round(start * self.rate)) or None
        if source.audio:
            source.audio.trim(start, end)

    def frames(self) -> Generator[Frame, None, None]:
        """Each frame of the clip once.

        Raises:
            InputError: The video ends before the clip starts.
        """
        empty = True
        with contextlib.closing(self._source.frames()) as frames:
            for frame in frames:
                if self._end is not None and frame.pts >= self._end:
                    break
                if frame.pts >= self._start:
                    empty, self.aspect = False, self._source.aspect
                    yield frame._replace(pts=frame.pts - self._start)
        self.damage = self._source.damage
        if empty:
            raise InputError(
                f"{self.name} has no frame in this part: it ends before start={self._seconds!r} "
                "seconds, or no frame begins before end. Choose an earlier start or a later end."
            )

    def close(self) -> None:
        """Releases the file or the device."""
        self._source.close()
