"""Writing videos, through PyAV, and numbered images."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Self

import cv2
import numpy as np

from easyseg.errors import OutputError, show_path
from easyseg.io.atomic import output_errors, remove_leftovers, temporary_path
from easyseg.io.video._av import load_av
from easyseg.io.video.audio import AudioTrack
from easyseg.io.video.image_sequence import ImageSequenceWriter, image_pattern
from easyseg.io.video.types import LIMITED_RANGE, Frame, VideoSource, swscale_matrix

log = logging.getLogger(__name__)


class VideoFormat(NamedTuple):
    """How videos with an extension are written.

    Attributes:
        container: FFmpeg's name of the container format.
        codec: FFmpeg's name of the encoder.
        codec_options: For the encoder.
        container_options: For the container.
        alpha: Whether it can hold transparency; without it, width and height must be even.
    """

    container: str
    codec: str
    codec_options: dict[str, str]
    container_options: dict[str, str]
    alpha: bool = False


# half the time of "veryfast", a fifth of a dB less, and files a seventh larger
H264 = {"preset": "superfast", "crf": "20", "mbtree": "1", "rc-lookahead": "10"}
VP9 = {"deadline": "realtime", "cpu-used": "6", "row-mt": "1", "crf": "28", "b": "0"}
INDEX_FIRST = {"movflags": "faststart"}  # a browser plays while it loads
FORMATS = {  # by extension
    ".mp4": VideoFormat("mp4", "libx264", H264, INDEX_FIRST),
    ".m4v": VideoFormat("mp4", "libx264", H264, INDEX_FIRST),
    ".mov": VideoFormat("mov", "libx264", H264, INDEX_FIRST),
    ".mkv": VideoFormat("matroska", "libx264", H264, {}),
    ".webm": VideoFormat("webm", "libvpx-vp9", VP9, {}, alpha=True),
}


def check_target(out: Path, *, alpha: bool = False) -> None:
    """Checks the output's name before any work is done.

    Args:
        out: A video, a folder for PNG files, or a pattern such as `out/%05d.png`.
        alpha: Whether the images will be transparent.

    Raises:
        OutputError: The extension is unknown, or its format has no transparency.
        InputError: It is a .png without a placeholder for a number.
    """
    if image_pattern(out):
        return
    if out.suffix.lower() not in FORMATS:
        raise OutputError(
            f"Cannot write {out}: expected a video with one of the extensions "
            f"{', '.join(FORMATS)}, or a folder (a name without an extension) for PNG files."
        )
    if alpha and not FORMATS[out.suffix.lower()].alpha:
        raise _no_alpha(out)


def open_writer(out: Path, source: VideoSource) -> VideoWriter | ImageSequenceWriter:
    """A writer for the frames of `source`, to be used with `with`.

    Raises:
        OutputError: `out` cannot be written.
    """
    check_target(out)
    pattern = image_pattern(out)
    return ImageSequenceWriter(pattern) if pattern else VideoWriter(out, source)


class VideoWriter:
    """Writes a video with the timestamps, the colors and the audio of its source.

    It is written under a temporary name and renamed at the end, also after an error or an
    interruption: the frames until then can be played. Without a single frame nothing is left.

    Args:
        out: Output file; its extension gives the format.
        source: The video that the frames come from. None of its frames may have been read.

    Raises:
        OutputError: `out` cannot be written, or there is no encoder.
    """

    def __init__(self, out: Path, source: VideoSource) -> None:
        self._av = load_av()
        self._format = FORMATS[out.suffix.lower()]
        if self._format.codec not in self._av.codec.codecs_available:
            raise OutputError(
                f"Cannot write {out}: this PyAV has no encoder {self._format.codec}. Use another "
                "extension, or install PyAV from PyPI: pip install --force-reinstall av."
            )
        self._frames = 0
        self._out, self._source = out, source
        self._container: Any = None
        self._video: Any = None
        self._audio: Any = None
        with output_errors(out):
            self._part = temporary_path(out)
            remove_leftovers(out.parent)
            self._part.touch()  # reports what cannot be written before any work is done
        if source.audio:
            source.audio.start_copy()

    def write(self, image: np.ndarray, frame: Frame) -> None:
        """Writes an image with the timestamp of `frame`.

        Args:
            image: `(H, W, 3) uint8 RGB` or, where the format allows, `(H, W, 4) uint8 RGBA`.
            frame: The frame of the source that it was made from.

        Raises:
            OutputError: The disk is full, or the format has no transparency.
        """
        with self._errors():
            if self._container is None:
                self._open(image)
            video_frame = self._video_frame(image)
            video_frame.pts, video_frame.duration = frame.pts, frame.duration
            video_frame.time_base = self._source.time_base
            self._container.mux(self._video.encode(video_frame))
            self._frames += 1
            self._copy_audio((frame.pts + frame.duration) * self._source.time_base)

    def complete(self) -> None:
        """To be called after the last frame of the source: copies the audio that follows it."""
        with self._errors():
            self._copy_audio(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            with self._errors():
                if self._frames:
                    self._finish()
                    if error is not None:
                        log.warning(
                            "%s holds the %d frames before that.",
                            show_path(self._out),
                            self._frames,
                        )
        except OutputError:
            if error is None:  # else the first error is the one to report
                raise
        finally:
            if self._source.audio:
                self._source.audio.stop_copy()
            with contextlib.suppress(OSError):
                self._part.unlink(missing_ok=True)

    def _open(self, image: np.ndarray) -> None:
        if image.shape[2] == 4 and not self._format.alpha:
            raise _no_alpha(self._out)
        source, multiple = self._source, 1 if self._format.alpha else 2
        self._container = self._av.open(
            f"file:{self._part}",
            "w",
            format=self._format.container,
            container_options=self._format.container_options,
        )
        self._video = self._container.add_stream(
            self._format.codec, rate=source.rate, options=dict(self._format.codec_options)
        )
        height, width = (side + side % multiple for side in image.shape[:2])
        self._video.width, self._video.height = width, height
        self._video.pix_fmt = "yuva420p" if image.shape[2] == 4 else "yuv420p"
        self._video.time_base = source.time_base
        context = self._video.codec_context
        context.time_base = source.time_base
        context.color_range = LIMITED_RANGE
        context.colorspace = source.colors.matrix
        context.color_primaries = source.colors.primaries
        context.color_trc = source.colors.transfer
        if source.aspect:
            context.sample_aspect_ratio = source.aspect
        if source.audio:
            self._audio = self._audio_stream(source.audio)

    def _audio_stream(self, audio: AudioTrack) -> Any:
        try:
            return self._container.add_stream_from_template(audio.stream)
        except ValueError as error:
            log.warning(
                "%s is written without audio: %s; use .mkv to keep it.", show_path(self._out), error
            )
            audio.stop_copy()
            return None

    def _video_frame(self, image: np.ndarray) -> Any:
        """The image in the encoder's colors; an odd side is padded by a copy of its last line."""
        video = self._video
        bottom, right = video.height - image.shape[0], video.width - image.shape[1]
        if bottom or right:
            image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        pixel_format = "rgba" if image.shape[2] == 4 else "rgb24"
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(image), pixel_format)
        return frame.reformat(
            format=video.pix_fmt,
            dst_colorspace=swscale_matrix(self._source.colors.matrix),
            dst_color_range=LIMITED_RANGE,
        )

    def _copy_audio(self, end: Fraction | None) -> None:
        if self._audio and self._source.audio:
            for packet in self._source.audio.take(end):
                packet.stream = self._audio
                self._container.mux(packet)

    def _finish(self) -> None:
        self._flush()
        self._container.close()
        self._part.replace(self._out)

    def _flush(self) -> None:
        self._container.mux(self._video.encode())

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        with output_errors(self._out):
            try:
                yield
            except self._av.FFmpegError as error:
                raise OSError(error.errno, error.strerror) from error


def _no_alpha(out: Path) -> OutputError:
    return OutputError(
        f"Cannot write {out}: {out.suffix} has no transparency, which cutouts need. "
        "Use .webm, or a folder for PNG files."
    )
