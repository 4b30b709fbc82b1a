"""Videos and cameras as PixelLib's methods take them."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from easyseg.api import SemanticSegmentation
from easyseg.errors import InputError, VideoError
from easyseg.inference.video import Draw, check_video, segment_video, stream_video
from easyseg.io.video import open_source
from easyseg.io.video.audio import AudioTrack
from easyseg.io.video.camera import Camera, frame_rate
from easyseg.io.video.types import Frame, VideoSource
from easyseg.results.segmentation import Segmentation

__all__ = ["play"]

log = logging.getLogger(__name__)


def play(
    seg: SemanticSegmentation,
    video: Any,
    paint: Draw,
    frames_per_second: float | None = None,
    output_video_name: str | os.PathLike[str] | None = None,
    check_fps: bool = False,
    show_frames: bool = False,
    frame_name: str | None = None,
    verbose: bool | None = True,
) -> tuple[Segmentation, np.ndarray]:
    """Segments a video to its end, or a camera until q, Escape or Ctrl-C is pressed.

    Args:
        seg: The network.
        video: A video's path, a URL, a camera's index, or an open `cv2.VideoCapture`, which is
            released at the end.
        paint: From a segmentation to `(H, W, 3) uint8 RGB`.
        frames_per_second: A video is written with all its frames at this rate, without audio; a
            camera in real time, at most at this rate. `None` keeps a video's timestamps and
            audio.
        output_video_name: Video to write: .mp4, .m4v, .mov, .mkv or .webm.
        check_fps: Logs how many frames per second were processed.
        show_frames: Shows a window.
        frame_name: The window's title.
        verbose: Shows a bar.

    Returns:
        The last frame's result, and the image drawn from it.

    Raises:
        VideoError: The video or camera cannot be read, or has no frame.
        OutputError: The video cannot be written.
        InputError: `frames_per_second` is not above 0, or windows are not available.
    """
    out = None if output_video_name is None else Path(output_video_name)
    if out is not None:
        check_video(video, out)
    last: list[tuple[Segmentation, np.ndarray]] = []

    def painted(result: Segmentation) -> np.ndarray:
        last[:] = [(result, paint(result))]
        return last[0][1]

    started, frames = time.perf_counter(), 0
    with contextlib.closing(_opened(video, frames_per_second)) as source:
        if out is not None or show_frames:
            show = show_frames and (frame_name or True)
            frames = segment_video(
                seg._predictor, source, out, spec=painted, progress=bool(verbose), show=show
            ).frames
        else:
            frames = _watch(seg, source, painted, progress=bool(verbose))
        if not last:
            raise VideoError(f"{source.name} has no frame; check that it is connected.")
    if check_fps:
        log.warning("%.1f frames per second", frames / (time.perf_counter() - started))
    return last[0]


def _watch(seg: SemanticSegmentation, source: VideoSource, painted: Draw, *, progress: bool) -> int:
    """Segments a video that is neither written nor shown; returns the number of frames."""
    results = stream_video(seg._predictor, source)
    bar = tqdm(results, total=source.expected, unit="frame", disable=not progress)
    try:
        for result in bar:
            painted(result)
    except KeyboardInterrupt:
        if not source.live:  # with a camera it is how a recording ends
            raise
    return int(bar.n)


def _opened(video: Any, frames_per_second: float | None) -> VideoSource:
    fps = frames_per_second
    number = isinstance(fps, (int, float)) and not isinstance(fps, bool)
    if fps is not None and not (number and 0 < fps < float("inf")):
        raise InputError(f"frames_per_second={fps!r} must be a number above 0.")
    if hasattr(video, "read"):  # a cv2.VideoCapture, or a script's replacement of it
        source: VideoSource = _Capture(video)
        if fps is None and not source.live:
            return _Paced(source, source.rate)  # OpenCV has no timestamps
    else:
        source = open_source(video)
    if fps is None or (fps == source.rate and not source.live):
        return source
    return _Paced(source, fps)


class _Capture(Camera):
    """A `cv2.VideoCapture` that the caller opened, of a camera or of a video.

    Raises:
        VideoError: It is not open.
    """

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self.name, self.damage = "the cv2.VideoCapture", ""
        if not capture.isOpened():
            raise VideoError(
                f"{self.name} is not open; check the video's path or the camera's index that it "
                "was given (0 is the first camera)."
            )
        self._capture = capture
        self.expected = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))) or None
        self.live = self.expected is None
        self.rate = frame_rate(capture)

    def frames(self) -> Generator[Frame, None, None]:
        """Each frame once."""
        yield from super().frames()
        if not self.live:
            self.damage = ""


class _Paced:
    """A video at another frame rate; live sources at most at this rate."""

    audio: AudioTrack | None = None  # its duration would not match

    def __init__(self, source: VideoSource, frames_per_second: float | Fraction) -> None:
        self._video = source
        self.rate = Fraction(frames_per_second).limit_denominator(1001)
        self.time_base = 1 / self.rate
        self.name, self.live, self.expected = source.name, source.live, source.expected
        self.aspect, self.colors, self.damage = source.aspect, source.colors, ""

    def frames(self) -> Generator[Frame, None, None]:
        """Each frame once."""
        last = -1
        for frame in self._video.frames():
            moment = round(frame.pts * self._video.time_base * self.rate) if self.live else last + 1
            if moment > last:
                self.aspect, last = self._video.aspect, moment
                yield Frame(frame.image, moment, 1)
        self.damage = self._video.damage

    def close(self) -> None:
        """Closes the video."""
        self._video.close()
