"""Videos and streams in, through PyAV."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.errors import VideoError, VideoNotFoundError
from easyseg.io.video._av import load_av
from easyseg.io.video.types import (
    BT601,
    FULL,
    LIMITED,
    WALL_TICKS,
    ColorSpace,
    Frame,
    VideoClock,
    WallClock,
    swscale_matrix,
)

__all__ = ["Video", "open_container"]

TIMEOUT = 10  # seconds without an answer from an address
USUAL_RATE = Fraction(25)
NOT_VIDEOS = ("tty", "image2", "_pipe")  # texts and images, which FFmpeg opens as videos of a frame


class Video:
    """A file, or an address, as `easyseg.io.video.types.Source` has it.

    Args:
        source: A path, or an address.

    Raises:
        VideoError: It cannot be opened, or is no video.
        InputError: PyAV is not installed.
    """

    def __init__(self, source: str | Path) -> None:
        self._av = load_av()
        self.name = str(source)
        self.damage = ""
        self._container = open_container(source)
        try:
            self._video = self._images()
        except VideoError:
            self.close()
            raise
        self._video.thread_type = "AUTO"
        self.live = not isinstance(source, Path) and self._container.duration is None
        self.rate = self._video.average_rate or self._video.guessed_rate or USUAL_RATE
        self.time_base = WALL_TICKS if self.live else self._video.time_base
        self.has_audio = bool(self._container.streams.audio) and not self.live
        self.start = self._first_moment()
        self._length = self._said_length()
        self.expected = self._video.frames or round((self._length or 0) * self.rate) or None
        self.aspect = self._video.sample_aspect_ratio or None
        context = self._video.codec_context
        self.colors = ColorSpace(context.colorspace, context.color_primaries, context.color_trc)

    def frames(self) -> Generator[Frame, None, None]:
        """Each frame once."""
        stamps = WallClock(self.rate) if self.live else None
        usual = max(1, round(1 / (self.rate * self.time_base)))
        clock = VideoClock(round(self.start / self.time_base), usual)
        size: tuple[int, int] | None = None
        for frame in self._decoded():
            if size is None:
                size = frame.width, frame.height
                if frame.rotation % 180 and self.aspect:
                    self.aspect = 1 / self.aspect
            image = _upright(frame, size)
            yield stamps.stamp(image) if stamps else clock.stamp(image, frame.pts, frame.duration)
        if size is None:
            raise VideoError(
                f"{self.name} holds no frame that can be decoded; copy or download it again."
            )
        if self.live:
            self.damage = self.damage or "the stream ended"
        else:
            self._note_missing_end(clock.due * self.time_base)

    def close(self) -> None:
        """Closes the file or the connection."""
        self._container.close()

    def _images(self) -> Any:
        if any(word in self._container.format.name for word in NOT_VIDEOS):
            raise VideoError(f"{self.name} is no video; `easyseg segment` takes images.")
        cover = self._av.stream.Disposition.attached_pic
        videos = [s for s in self._container.streams.video if not s.disposition & cover]
        if not videos:
            kinds = ", ".join(s.type for s in self._container.streams) or "nothing"
            raise VideoError(f"{self.name} holds no images, only {kinds}; give a video.")
        if videos[0].codec_context is None:
            raise VideoError(f"{self.name} is coded in a way that PyAV cannot decode; convert it.")
        return videos[0]

    def _first_moment(self) -> Fraction:
        """When the video starts, as players see it: at the first image or sound.

        Sound may start a little before 0, with samples that players leave out.
        """
        own = (self._video.start_time or 0) * self._video.time_base
        sounds = self._container.streams.audio
        starts = [s.start_time * s.time_base for s in sounds if s.start_time is not None]
        return min(own, max(Fraction(0), min(starts, default=own)))

    def _said_length(self) -> Fraction | None:
        """Seconds of images, as the file says."""
        if self._video.duration is not None:
            return self._video.duration * self._video.time_base
        if self._container.duration is None or self._container.streams.audio:
            return None  # of the sound, perhaps
        return Fraction(self._container.duration, self._av.time_base)

    def _decoded(self) -> Iterator[Any]:
        """Frames in the order in which they are shown; what is damaged is passed over."""
        packets = self._container.demux(self._video)  # the last one is empty and flushes
        damaged = 0
        while True:
            try:
                packet = next(packets, None)
            except self._av.FFmpegError as error:
                self.damage = f"it cannot be read further ({error.strerror or error})"
                yield from self._video.decode(None)
                return
            if packet is None:
                break
            try:
                yield from self._video.decode(packet)
            except self._av.FFmpegError:
                damaged += 1
        if damaged and not self.damage:
            self.damage = f"{damaged} damaged parts were left out"

    def _note_missing_end(self, seen: Fraction) -> None:
        missing = (self._length or 0) - seen
        if not self.damage and missing > max(Fraction(1, 4), 3 / self.rate):
            self.damage = f"it breaks off at {float(seen):.1f} of {float(self._length or 0):.1f} s"


def open_container(source: str | Path) -> Any:
    """The file or address, opened by PyAV.

    Raises:
        VideoNotFoundError: There is no such file.
        VideoError: It cannot be opened, or is in no format that is known.
    """
    av = load_av()
    name, is_file = str(source), False
    if isinstance(source, Path):
        is_file = True
        _require_video(source)
    options = {"rtsp_transport": "tcp"} if name.lower().startswith("rtsp") else {}
    try:
        # "file:" keeps FFmpeg from taking a name with a colon for an address
        return av.open(
            f"file:{name}" if is_file else name,
            options=options,
            timeout=None if is_file else TIMEOUT,
            metadata_errors="replace",
        )
    except av.InvalidDataError as error:
        raise VideoError(
            f"{name} is not a video, or an incomplete one ({error.strerror}); "
            "copy or download it again."
        ) from error
    except (av.FFmpegError, OSError) as error:
        raise VideoError(
            f"{name} cannot be opened ({error.strerror or error}); "
            f"check its {'name and its permissions' if is_file else 'address and the network'}."
        ) from error


def _require_video(path: Path) -> None:
    if path.is_dir():
        raise VideoError(f"{path} is a folder, not a video; give the name of a file in it.")
    if not path.exists():
        raise VideoNotFoundError(
            f"{path} does not exist; check the path (working folder {Path.cwd()})."
        )
    if path.is_file() and path.stat().st_size == 0:  # a pipe has no size
        raise VideoError(f"{path} is empty (0 bytes); copy or download it again.")


def _upright(frame: Any, size: tuple[int, int]) -> np.ndarray:
    """`(H, W, 3) uint8 RGB`, turned as the video says; all frames get the size of the first."""
    image = frame.to_ndarray(
        format="rgb24",
        width=size[0],
        height=size[1],
        src_colorspace=swscale_matrix(frame.colorspace),  # PyAV before 17 does not look
        dst_colorspace=BT601,
        src_color_range=frame.color_range or LIMITED,
        dst_color_range=FULL,
    )
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))
