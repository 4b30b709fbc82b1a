"""The audio of a video, copied without decoding."""

from __future__ import annotations

import math
from collections import deque
from fractions import Fraction
from typing import Any


class AudioTrack:
    """The first audio stream of an open video.

    The video's reader demuxes images and audio in one pass. It hands the audio packets over as
    it meets them, and they wait here for the frames around them. Packets are compressed (some
    20 kB per second), so even the whole audio of a badly interleaved file fits into memory.
    Without a writer that called `start_copy` they are not read.

    Args:
        stream: PyAV's audio stream.
        start: Time in the file, in seconds, at which the video starts.
    """

    def __init__(self, stream: Any, start: Fraction) -> None:
        self.stream = stream
        self.copying = False
        self._shift = round(start / stream.time_base)
        self._start, self._end = 0, math.inf  # of what is copied, in ticks
        self._packets: deque[Any] = deque()  # filled by the reader's thread

    def trim(self, start: float, end: float | None) -> None:
        """Copies only the packets from `start` to `end`, in seconds; `start` becomes 0."""
        if start > 0:  # else samples a little before 0, which players skip, are kept
            self._start = round(start / self.stream.time_base)
        self._end = math.inf if end is None else end / self.stream.time_base

    def start_copy(self) -> None:
        """Collects packets from now on; to be called before the first frame is read."""
        self.copying = True

    def stop_copy(self) -> None:
        """Drops what is collected, and all that comes."""
        self.copying = False
        self._packets.clear()

    def add(self, packet: Any) -> None:
        """Takes a packet from the reader."""
        if self.copying and packet.dts is not None and packet.size:
            dts = packet.dts - self._shift
            if dts >= self._end or (self._start and dts < self._start):
                return
            shift = self._shift + self._start
            packet.dts -= shift
            packet.pts = packet.dts if packet.pts is None else packet.pts - shift
            self._packets.append(packet)

    def take(self, end: Fraction | None) -> list[Any]:
        """Removes and returns the packets before a timestamp in seconds; all of them for `None`."""
        taken = []
        while self._packets:
            packet = self._packets[0]
            if end is not None and packet.dts * packet.time_base >= end:
                break
            taken.append(self._packets.popleft())
        return taken
