"""Reading videos and streams, through PyAV."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.errors import VideoError, VideoNotFoundError, os_reason
from easyseg.io.open_image import IMAGE_EXTENSIONS, MAX_PIXELS_VARIABLE, pixel_limit
from easyseg.io.video._av import load_av
from easyseg.io.video.audio import AudioTrack
from easyseg.io.video.pipe import Pipe
from easyseg.io.video.types import (
    BT601,
    FULL_RANGE,
    LIMITED_RANGE,
    LIVE_TIME_BASE,
    ColorSpace,
    FileTimestamps,
    Frame,
    LiveTimestamps,
    swscale_matrix,
)
from easyseg.utils.files import system_errors
from easyseg.utils.network import watched

TIMEOUT = 10  # seconds without an answer from a server
DEFAULT_RATE = Fraction(25)
# FFmpeg opens texts and images as videos of one frame, by formats with these words in their names
ANIMATED = (".gif", ".apng", ".png", ".webp", ".avif")  # images that may be videos
NOT_VIDEO_FORMATS = ("tty", "image2", "_pipe")
# FFmpeg probes what it is given: of its 370 formats these hold videos, or are refused by name. Not
# among them are those that open other files and devices: hls, concat, dash, image2, lavfi, sdp, ...
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,asf,asf_o,flv,live_flv,"
    "ogg,mxf,mjpeg,mpjpeg,h261,h263,h264,hevc,av1,obu,ivf,vc1,gif,apng,yuv4mpegpipe,nut,nsv,dv,rm,"
    "dhav,wtv,gxf,mp3,wav,flac,aac,w64,aiff,tty,png_pipe,jpeg_pipe,bmp_pipe,webp_pipe,tiff_pipe,"
    "gif_pipe,ppm_pipe,pgm_pipe,pbm_pipe,psd_pipe,j2k_pipe,jpegxl_pipe,svg_pipe,xbm_pipe,xpm_pipe"
)
WEB_FORMATS = f"{FORMATS},hls,rtsp,rtp,sdp"
WEB_PROTOCOLS = (
    "http,https,httpproxy,tcp,tls,udp,rtp,srtp,rtsp,rtsps,rtmp,rtmps,rtmpt,rtmpe,srt,crypto,data"
)
PLAYLISTS = (b"#EXTM3U", b"ffconcat")


class VideoReader:
    """A file or a URL, as an `easyseg.io.video.types.VideoSource`.

    It is opened once: the audio, if anyone copies it, comes from the same container.

    Args:
        source: A path, or a URL.
        max_pixels: Height times width of a frame above which it is refused; `None` for
            `pixel_limit()`.

    Raises:
        VideoError: It cannot be opened, is not a video, or is too large.
        InputError: PyAV is not installed.
    """

    def __init__(self, source: str | Path, *, max_pixels: int | None = None) -> None:
        self._av = load_av()
        self.name = str(source)
        self.damage = ""
        with system_errors(VideoError, source):
            self._pipe = _open_pipe(source)
        try:
            self._container = _open_container(source, self._pipe)
        except BaseException:
            self._close_pipe()
            raise
        try:
            self._stream = self._video_stream()
            self._limit_size(pixel_limit(max_pixels))
        except VideoError:
            self.close()
            raise
        self._stream.thread_type = "AUTO"
        self.live = not isinstance(source, Path) and self._container.duration is None
        self.rate = self._stream.average_rate or self._stream.guessed_rate or DEFAULT_RATE
        self.time_base = LIVE_TIME_BASE if self.live else self._stream.time_base
        self._start = self._start_time()
        audio = self._container.streams.audio
        self.audio = AudioTrack(audio[0], self._start) if audio and not self.live else None
        self._duration = self._declared_duration()
        self.expected = self._stream.frames or round((self._duration or 0) * self.rate) or None
        self.aspect = self._stream.sample_aspect_ratio or None
        context = self._stream.codec_context
        self.colors = ColorSpace(context.colorspace, context.color_primaries, context.color_trc)

    def frames(self) -> Generator[Frame, None, None]:
        """Each frame once."""
        live = LiveTimestamps(self.rate) if self.live else None
        usual_duration = max(1, round(1 / (self.rate * self.time_base)))
        timestamps = FileTimestamps(round(self._start / self.time_base), usual_duration)
        size: tuple[int, int] | None = None
        for frame in self._decoded():
            if size is None:
                size = frame.width, frame.height
                if frame.rotation % 180 and self.aspect:
                    self.aspect = 1 / self.aspect
            image = _upright(frame, size)
            yield live.frame(image) if live else timestamps.frame(image, frame.pts, frame.duration)
        if size is None:
            raise VideoError(
                f"Cannot read {self.name}: none of its frames can be decoded. "
                "Copy or download it again."
            )
        if self.live:
            self.damage = self.damage or "the stream ended"
        else:
            self._note_missing_end(timestamps.next_pts * self.time_base)

    @property
    def format(self) -> str:
        """FFmpeg's name of the container format."""
        return str(self._container.format.name)

    def packet_times(self) -> list[tuple[int | None, bool]]:
        """Timestamp of each packet of images, and whether it is a key frame; decodes nothing.

        The timestamps are in ticks, from where the video starts. An error ends the list.
        """
        start, times = round(self._start / self.time_base), []
        with contextlib.suppress(self._av.FFmpegError):
            times = [
                (None if packet.pts is None else packet.pts - start, packet.is_keyframe)
                for packet in self._container.demux(self._stream)
                if packet.size
            ]
        return times

    def demux_audio(self) -> Iterator[Fraction]:
        """Hands the audio to whoever copies it; yields how far it was read, in seconds."""
        if self.audio is not None:
            with contextlib.suppress(self._av.FFmpegError):
                for packet in self._container.demux(self.audio.stream):
                    if packet.dts is not None:
                        seconds = packet.dts * packet.time_base - self._start
                        self.audio.add(packet)
                        yield seconds

    def seek(self, pts: int) -> None:
        """Continues with the key frame at or before a timestamp, in ticks."""
        offset = pts + round(self._start / self.time_base)
        self._container.seek(offset, stream=self._stream)

    def close(self) -> None:
        """Closes the file or the connection."""
        self._container.close()
        self._close_pipe()

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe.check()

    def _video_stream(self) -> Any:
        if any(word in self._container.format.name for word in NOT_VIDEO_FORMATS):
            raise _not_a_video(self.name)
        cover = self._av.stream.Disposition.attached_pic
        streams = [s for s in self._container.streams.video if not s.disposition & cover]
        if not streams:
            kinds = ", ".join(s.type for s in self._container.streams) or "nothing"
            raise VideoError(
                f"Cannot read {self.name}: it has no video stream, only {kinds}. "
                "Give a file with a video stream."
            )
        if streams[0].codec_context is None:
            raise VideoError(
                f"Cannot decode {self.name}: PyAV has no decoder for its codec. "
                "Convert it, for example to H.264."
            )
        return streams[0]

    def _limit_size(self, limit: int) -> None:
        """Refuses larger frames before they are decoded, those that come later too."""
        context = self._stream.codec_context
        pixels = context.width * context.height
        if pixels > limit:
            raise VideoError(
                f"Cannot read {self.name}: it is too large ({context.width}x{context.height}; the "
                f"limit is {limit / 1e6:g} megapixels). Scale it down first, or raise the limit: "
                f"max_pixels={pixels} or, in the environment, {MAX_PIXELS_VARIABLE}={pixels}."
            )
        context.options = {"max_pixels": str(limit)}

    def _start_time(self) -> Fraction:
        """When the video starts in players, in seconds: with its first image or audio.

        Audio may start a little before 0, with samples that players skip.
        """
        images = (self._stream.start_time or 0) * self._stream.time_base
        tracks = self._container.streams.audio
        starts = [t.start_time * t.time_base for t in tracks if t.start_time is not None]
        return min(images, max(Fraction(0), min(starts, default=images)))

    def _declared_duration(self) -> Fraction | None:
        """Seconds of images, according to the file."""
        if self._stream.duration is not None:
            return self._stream.duration * self._stream.time_base
        if self._container.duration is None or self._container.streams.audio:
            return None  # perhaps that of the audio
        return Fraction(self._container.duration, self._av.time_base)

    def _decoded(self) -> Iterator[Any]:
        """Frames in the order in which they are shown, without damaged ones."""
        audio = self.audio if self.audio and self.audio.copying else None
        streams = [self._stream, audio.stream] if audio else [self._stream]
        packets = self._container.demux(streams)  # the last one is empty and flushes the decoder
        damaged = 0
        while True:
            try:
                packet = next(packets, None)
            except self._av.FFmpegError as error:
                self.damage = f"the rest cannot be read ({error.strerror or error})"
                yield from self._stream.decode(None)
                return
            if packet is None:
                if self._pipe is not None:
                    self._pipe.check()
                break
            if audio and packet.stream is audio.stream:
                audio.add(packet)
                continue
            try:
                yield from self._stream.decode(packet)
            except self._av.FFmpegError:
                damaged += 1
        if damaged and not self.damage:
            self.damage = f"{damaged} damaged packets were skipped"

    def _note_missing_end(self, end: Fraction) -> None:
        missing = (self._duration or 0) - end
        if not self.damage and missing > max(Fraction(1, 4), 3 / self.rate):
            self.damage = f"it ends at {float(end):.1f} of {float(self._duration or 0):.1f} s"


def _open_pipe(source: str | Path) -> Pipe | None:
    if isinstance(source, Path) and source.exists() and not (source.is_file() or source.is_dir()):
        with contextlib.suppress(OSError):  # of which FFmpeg tells
            return Pipe(source)
    return None


def _open_container(source: str | Path, pipe: Pipe | None) -> Any:
    av = load_av()
    name, is_file = str(source), isinstance(source, Path)
    if isinstance(source, Path):
        _require_video(source)
        if _is_playlist(source):
            raise VideoError(
                f"Cannot read {name}: it is a playlist, which names other files. Give one of the "
                "videos that it names, or the URL of the playlist."
            )
    formats, protocols = (FORMATS, "file") if is_file else (WEB_FORMATS, WEB_PROTOCOLS)
    options = {"format_whitelist": formats, "protocol_whitelist": protocols}
    if name.lower().startswith("rtsp"):
        options["rtsp_transport"] = "tcp"
    # "file:" keeps FFmpeg from taking a name with a colon for a URL
    url = pipe or (f"file:{name}" if is_file else name)
    timeout = None if is_file else TIMEOUT

    def open_it(_: object = None) -> Any:
        return av.open(url, options=options, timeout=timeout, metadata_errors="replace")

    try:
        # FFmpeg keeps the time limit, but waits for a server without noticing signals
        return open_it() if is_file else watched(open_it, TIMEOUT, lambda: True)
    except (av.InvalidDataError, av.ArgumentError) as error:  # the latter: none of the formats
        raise VideoError(
            f"Cannot read {name}: not a video, or an incomplete one ({error.strerror}). "
            "Copy or download it again."
        ) from error
    except (av.FFmpegError, OSError) as error:
        late = f"no answer within {TIMEOUT} s" if isinstance(error, av.ExitError) else ""
        raise VideoError(
            f"Cannot read {name}: {late or os_reason(error)}. "
            f"Check {'its name and its permissions' if is_file else 'the URL and the network'}."
        ) from error


def _require_video(path: Path) -> None:
    if path.is_dir():
        raise VideoError(f"Expected a video, got the folder {path}. Give the path of a file in it.")
    if not path.exists():
        raise VideoNotFoundError(
            f"Cannot read {path}: it does not exist. "
            f"Check the path (the working directory is {Path.cwd()})."
        )
    if path.is_file() and path.stat().st_size == 0:  # a pipe has no size
        raise VideoError(f"Cannot read {path}: it is empty (0 bytes). Copy or download it again.")
    if path.suffix.lower() in IMAGE_EXTENSIONS and path.suffix.lower() not in ANIMATED:
        raise _not_a_video(str(path))


def _not_a_video(name: str) -> VideoError:
    return VideoError(
        f"Expected a video, got {name}, which is an image or a text. Give a video, or an image to "
        "segment_image()."
    )


def _is_playlist(path: Path) -> bool:
    """Whether the file names other files, which a video from a stranger must not open."""
    with contextlib.suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(64).lstrip(b"\xef\xbb\xbf \r\n\t").startswith(PLAYLISTS)
    return False


def _upright(frame: Any, size: tuple[int, int]) -> np.ndarray:
    """`(H, W, 3) uint8 RGB`, rotated as the file says; all frames get the size of the first."""
    image = frame.to_ndarray(
        format="rgb24",
        width=size[0],
        height=size[1],
        src_colorspace=swscale_matrix(frame.colorspace),  # PyAV before 17 ignores it
        dst_colorspace=BT601,
        src_color_range=frame.color_range or LIMITED_RANGE,
        dst_color_range=FULL_RANGE,
    )
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))
