"""The sound track, copied without decoding."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from easyseg.io.video._av import load_av
from easyseg.io.video.open import is_address
from easyseg.io.video.reader import open_container
from easyseg.io.video.types import Source

__all__ = ["AudioCopy", "copy_audio"]

log = logging.getLogger(__name__)


class AudioCopy:
    """Packets of a video's first sound track, for another container.

    The video is opened a second time, so that sound is read where the images are written, as far
    as they have come, and not kept while they wait for the network.
    """

    def __init__(self, name: str, start: Fraction, target: Any) -> None:
        self._av = load_av()
        self._container = open_container(name if is_address(name) else Path(name))
        source = self._container.streams.audio[0]
        try:
            self._stream = target.add_stream_from_template(source)
        except BaseException:
            self.close()
            raise
        self._shift = round(start / source.time_base)
        self._packets = self._container.demux(source)
        self._next: Any = None

    def until(self, moment: Fraction | None) -> Iterator[Any]:
        """Packets that start before `moment`, in seconds of the video; all without it."""
        while True:
            packet = self._next or self._read()
            if packet is None:
                return
            if moment is not None and packet.dts * packet.time_base >= moment:
                self._next = packet
                return
            self._next = None
            packet.stream = self._stream
            yield packet

    def close(self) -> None:
        """Closes the video that the sound is read from."""
        self._container.close()

    def _read(self) -> Any:
        try:
            for packet in self._packets:
                if packet.dts is not None and packet.size:
                    packet.dts -= self._shift
                    packet.pts = packet.dts if packet.pts is None else packet.pts - self._shift
                    return packet
        except self._av.FFmpegError:
            pass  # the images end there too, and say so
        return None


def copy_audio(source: Source, target: Any, out: Path) -> AudioCopy | None:
    """The sound of `source` for the container `target`, if there is any that it can hold."""
    if not source.has_audio:
        return None
    try:
        return AudioCopy(source.name, source.start, target)
    except ValueError as error:
        log.warning("%s is written without sound: %s; use .mkv to keep it.", out, error)
        return None
