"""Videos out, through PyAV."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from easyseg.errors import OutputError
from easyseg.io.atomic import output_errors, temporary_path
from easyseg.io.video._av import load_av
from easyseg.io.video.audio import AudioCopy, copy_audio
from easyseg.io.video.image_sequence import ImageSequenceWriter, image_pattern
from easyseg.io.video.types import LIMITED, Frame, Source, swscale_matrix

__all__ = ["VIDEO_EXTENSIONS", "VideoWriter", "check_target", "open_writer"]


log = logging.getLogger(__name__)


class Encoding(NamedTuple):
    """How videos with an ending are written.

    Attributes:
        container: FFmpeg's name of the format.
        codec: FFmpeg's name of the encoder.
        options: For the encoder.
        layout: For the format.
        alpha: Whether it can hold transparency.
        even: Whether sides must be even.
    """

    container: str
    codec: str
    options: dict[str, str]
    layout: dict[str, str]
    alpha: bool = False
    even: bool = True


H264 = {"preset": "veryfast", "crf": "20"}
VP9 = {"deadline": "realtime", "cpu-used": "6", "row-mt": "1", "crf": "28", "b": "0"}
INDEX_FIRST = {"movflags": "faststart"}  # a browser plays while it loads
VIDEO_EXTENSIONS = {
    ".mp4": Encoding("mp4", "libx264", H264, INDEX_FIRST),
    ".m4v": Encoding("mp4", "libx264", H264, INDEX_FIRST),
    ".mov": Encoding("mov", "libx264", H264, INDEX_FIRST),
    ".mkv": Encoding("matroska", "libx264", H264, {}),
    ".webm": Encoding("webm", "libvpx-vp9", VP9, {}, alpha=True, even=False),
}


def check_target(out: Path, *, alpha: bool = False) -> None:
    """Raises what can be said about the name before any work is done.

    Args:
        out: A video, a folder for PNG files, or a pattern such as `out/%05d.png`.
        alpha: Whether images will be transparent.

    Raises:
        OutputError: The ending is unknown, or has no transparency.
        InputError: It is a .png that has no place for a number.
    """
    if image_pattern(out):
        return
    if out.suffix.lower() not in VIDEO_EXTENSIONS:
        raise OutputError(
            f"{out} cannot be written: its ending is not one of {', '.join(VIDEO_EXTENSIONS)}; "
            "a name without an ending is a folder for PNG files."
        )
    if alpha and not VIDEO_EXTENSIONS[out.suffix.lower()].alpha:
        raise OutputError(no_alpha(out))


def open_writer(out: Path, source: Source) -> VideoWriter | ImageSequenceWriter:
    """A writer for the frames of `source`, to be used with `with`.

    Raises:
        OutputError: The place cannot be written.
    """
    check_target(out)
    pattern = image_pattern(out)
    return ImageSequenceWriter(pattern) if pattern else VideoWriter(out, source)


class VideoWriter:
    """Writes a video with the times, the colors and the sound of its source.

    It is written under another name, and put in its place at the end, however that comes: what
    was written before an error or an interruption can be played. Without a single frame nothing
    is left.

    Args:
        out: Where to; the ending says the format.
        source: The video that the frames come from.

    Raises:
        OutputError: The place cannot be written, or there is no encoder.

    """

    def __init__(self, out: Path, source: Source) -> None:
        self._av = load_av()
        self._encoding = VIDEO_EXTENSIONS[out.suffix.lower()]
        if self._encoding.codec not in self._av.codec.codecs_available:
            raise OutputError(
                f"{out} needs the encoder {self._encoding.codec}, which this PyAV was built "
                'without; use another ending, or the PyAV of pip: pip install "easyseg[video]".'
            )
        self._frames = 0
        self._out, self._source = out, source
        self._container: Any = None
        self._video: Any = None
        self._sound: AudioCopy | None = None
        with output_errors(out):
            self._part = temporary_path(out)
            self._part.touch()  # what cannot be written is said before any work is done

    def write(self, image: np.ndarray, frame: Frame) -> None:
        """Adds an image, at the time of `frame`.

        Args:
            image: `(H, W, 3) uint8 RGB` or, where the format allows, `(H, W, 4) uint8 RGBA`.
            frame: What it was made from.

        Raises:
            OutputError: The disk is full, or the format has no transparency.
        """
        with self._errors():
            if self._container is None:
                self._open(image)
            coded = self._coded(image)
            coded.pts, coded.duration = frame.pts, frame.duration
            coded.time_base = self._source.time_base
            self._container.mux(self._video.encode(coded))
            self._frames += 1
            self._copy_audio((frame.pts + frame.duration) * self._source.time_base)

    def complete(self) -> None:
        """Says that no frame is missing, so that sound which goes on after the last is kept."""
        with self._errors():
            self._copy_audio(None)

    def __enter__(self) -> VideoWriter:  # noqa: PYI034  (from Python 3.11)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            with self._errors():
                if self._frames:
                    self._finish()
                    if error is not None:
                        log.warning("%s holds the %d frames before that.", self._out, self._frames)
        except OutputError:
            if error is None:  # else the first error is the one that counts
                raise
        finally:
            if self._sound:
                self._sound.close()
            with contextlib.suppress(OSError):
                self._part.unlink(missing_ok=True)

    def _open(self, image: np.ndarray) -> None:
        if image.shape[2] == 4 and not self._encoding.alpha:
            raise OutputError(no_alpha(self._out))
        source, even = self._source, 2 if self._encoding.even else 1
        self._container = self._av.open(
            f"file:{self._part}",
            "w",
            format=self._encoding.container,
            container_options=self._encoding.layout,
        )
        self._video = self._container.add_stream(
            self._encoding.codec, rate=source.rate, options=dict(self._encoding.options)
        )
        height, width = (side + side % even for side in image.shape[:2])
        self._video.width, self._video.height = width, height
        self._video.pix_fmt = "yuva420p" if image.shape[2] == 4 else "yuv420p"
        self._video.time_base = source.time_base
        context = self._video.codec_context
        context.time_base = source.time_base
        context.color_range = LIMITED
        context.colorspace = source.colors.matrix
        context.color_primaries = source.colors.primaries
        context.color_trc = source.colors.transfer
        if source.aspect:
            context.sample_aspect_ratio = source.aspect
        self._sound = copy_audio(source, self._container, self._out)

    def _coded(self, image: np.ndarray) -> Any:
        """The image in the encoder's colors; an odd side grows by a copy of its last line."""
        video = self._video
        down, right = video.height - image.shape[0], video.width - image.shape[1]
        if down or right:
            image = cv2.copyMakeBorder(image, 0, down, 0, right, cv2.BORDER_REPLICATE)
        form = "rgba" if image.shape[2] == 4 else "rgb24"
        return self._av.VideoFrame.from_ndarray(np.ascontiguousarray(image), form).reformat(
            format=video.pix_fmt,
            dst_colorspace=swscale_matrix(self._source.colors.matrix),
            dst_color_range=LIMITED,
        )

    def _copy_audio(self, until: Fraction | None) -> None:
        if self._sound:
            self._container.mux(list(self._sound.until(until)))

    def _finish(self) -> None:
        self._container.mux(self._video.encode())
        self._container.close()
        self._part.replace(self._out)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        with output_errors(self._out):
            try:
                yield
            except self._av.FFmpegError as error:
                raise OSError(error.errno, error.strerror) from error


def no_alpha(out: Path) -> str:
    """What is said when a transparent image should go into a video that has no transparency."""
    return f"{out} cannot hold transparency, which cut-outs have; use .webm, or a folder of PNGs."
