"""Videos and cameras through the network: reading, the network and writing at the same time."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from easyseg.errors import InputError
from easyseg.inference.video_network import Pairs, forwarding
from easyseg.io.video.image_sequence import ImageSequenceWriter
from easyseg.io.video.open import is_address, open_source
from easyseg.io.video.writer import check_target, open_writer
from easyseg.io.video.types import Frame, Source
from easyseg.io.video.window import Preview
from easyseg.io.video.writer import VideoWriter
from easyseg.results.segmentation import Segmentation
from easyseg.utils.concurrency import prefetch
from easyseg.utils.validation import is_count

if TYPE_CHECKING:
    from easyseg.inference.predictor import Predictor  # loads Keras

__all__ = ["VideoSummary", "check_video", "render", "stream"]

log = logging.getLogger(__name__)

Paint = Callable[[Segmentation], np.ndarray]


@dataclasses.dataclass(frozen=True)
class VideoSummary:
    """What became of a video.

    Attributes:
        out: Where it was written; `None` if it was only shown.
        frames: How many.
        seconds: How long it plays.
        elapsed: How long the work took, in seconds.
        damage: What of the source could not be read, or nothing.
    """

    out: Path | None
    frames: int
    seconds: float
    elapsed: float
    damage: str = ""

    @property
    def fps(self) -> float:
        """Frames per second of video."""
        return self.frames / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        speed = self.frames / self.elapsed if self.elapsed else 0.0
        damage = f"; {self.damage}" if self.damage else ""
        return (
            f"{self.frames} frame{'s' * (self.frames != 1)}, {self.seconds:.1f} s at "
            f"{self.fps:.4g} per second, in {self.elapsed:.1f} s ({speed:.1f} per second){damage}"
        )


def render(
    predictor: Predictor,
    source: Any,
    out: str | os.PathLike[str] | None,
    paint: Paint,
    *,
    frame_stride: int = 1,
    batch_size: int | None = None,
    smoothing: float = 0.0,
    progress: bool = True,
    show: bool | str = False,
) -> VideoSummary:
    """Segments a video, a stream or a camera and writes what is painted of each frame.

    The result keeps the source's size, times, colors and sound. It appears at `out` at the end;
    after an error or an interruption it holds what was done until then.

    Args:
        predictor: The network.
        source: A video's path, an address, or a camera's index.
        out: A video (.mp4, .m4v, .mov, .mkv, .webm), or a folder or pattern (`out/%05d.png`) for
            PNG files; `None` only shows.
        paint: From a segmentation to `(H, W, 3) uint8 RGB`, or `(H, W, 4) uint8 RGBA` for .webm
            and PNG files.
        frame_stride: Each so manieth frame goes through the network; those between keep its labels.
        batch_size: Frames that go through together; by default the predictor's, of live sources 1.
        smoothing: Share of the past in an exponential mean of the logits, from 0 (none) to below 1.
        progress: Shows a bar.
        show: Shows a window, with this title if it is a text; q or Escape in it ends the video.

    Raises:
        VideoError: The source cannot be read.
        OutputError: The result cannot be written.
        InputError: An argument breaks a rule.
    """
    _check(frame_stride, batch_size, smoothing)
    target = None if out is None else Path(out)
    if target is not None:
        check_video(source, target)
    elif not show:
        raise InputError("there is no place for the video: give out, or show=True to see it only.")
    started = time.perf_counter()
    done = _Done()
    with contextlib.ExitStack() as stack:
        window = stack.enter_context(Preview(show)) if show else None
        video = stack.enter_context(contextlib.closing(open_source(source)))
        writer = None if target is None else open_writer(target, video)
        if writer:
            stack.enter_context(writer)
        pairs = stack.enter_context(
            forwarding(predictor, video, frame_stride, batch_size, smoothing)
        )
        written = prefetch(_written(pairs, paint, writer, done), 1)
        stack.enter_context(contextlib.closing(written))
        bar = stack.enter_context(tqdm(total=video.expected, unit="frame", disable=not progress))
        try:
            for image in written:
                bar.update()
                if window and not window.show(image):
                    break
            else:
                if writer:
                    writer.complete()
        except KeyboardInterrupt:
            if not video.live:  # for a camera it is the way to end
                raise
    _tell_damage(video)
    seconds = float(done.end * video.time_base)
    return VideoSummary(target, done.frames, seconds, time.perf_counter() - started, video.damage)


def check_video(source: Any, out: Path, *, alpha: bool = False) -> None:
    """Raises what `render` would raise for these names, before the network is loaded.

    Args:
        source: As in `render`.
        out: As in `render`.
        alpha: Whether images will be transparent.

    Raises:
        OutputError: The ending is unknown, or has no transparency.
        InputError: The result would overwrite the source, or is one image.
        VideoError: The source is a file that is no video.
    """
    check_target(out, alpha=alpha)
    if isinstance(source, (str, os.PathLike)) and not is_address(source):
        open_source(source).close()
        if out.exists() and out.samefile(source):
            raise InputError(f"the result would overwrite the video {out}; give another place.")


def stream(
    predictor: Predictor,
    source: Any,
    *,
    frame_stride: int = 1,
    batch_size: int | None = None,
    smoothing: float = 0.0,
) -> Iterator[tuple[float, Segmentation]]:
    """Segments a video, a stream or a camera, frame after frame.

    Args:
        predictor: The network.
        source: A video's path, an address, or a camera's index.
        frame_stride: Each so manieth frame goes through the network; those between keep its labels.
        batch_size: Frames that go through together; by default the predictor's, of live sources 1.
        smoothing: As in `render`.

    Returns:
        Seconds from the start, and the frame's result.

    Raises:
        VideoError: The source cannot be read.
        InputError: An argument breaks a rule.
    """
    _check(frame_stride, batch_size, smoothing)
    return _results(predictor, open_source(source), frame_stride, batch_size, smoothing)


def _results(
    predictor: Predictor, video: Source, frame_stride: int, batch_size: int | None, smoothing: float
) -> Iterator[tuple[float, Segmentation]]:
    with (
        contextlib.closing(video),
        forwarding(predictor, video, frame_stride, batch_size, smoothing) as pairs,
    ):
        for frame, result in _finished(pairs):
            yield float(frame.pts * video.time_base), result
    _tell_damage(video)


def _finished(pairs: Pairs) -> Iterator[tuple[Frame, Segmentation]]:
    result: Any = None
    for frame, forwarded in pairs:
        if forwarded is not None:
            result = forwarded.finish()
        else:
            result = dataclasses.replace(result, image=frame.image)
        yield frame, result


@dataclasses.dataclass
class _Done:
    """How far a video has come: frames, and the end of the last one in ticks."""

    frames: int = 0
    end: int = 0


def _written(
    pairs: Pairs, paint: Paint, writer: VideoWriter | ImageSequenceWriter | None, done: _Done
) -> Generator[np.ndarray, None, None]:
    for frame, result in _finished(pairs):
        image = paint(result)
        if image.ndim != 3 or image.shape[2] not in (3, 4) or image.dtype != np.uint8:
            raise InputError(
                f"a frame was painted as {image.dtype} of shape {image.shape}; paint must "
                "return (H, W, 3) RGB or (H, W, 4) RGBA, uint8."
            )
        if writer:
            writer.write(image, frame)
        done.frames, done.end = done.frames + 1, frame.pts + frame.duration
        yield image


def _check(frame_stride: int, batch_size: int | None, smoothing: float) -> None:
    for name, value in (("frame_stride", frame_stride), ("batch_size", batch_size)):
        if not is_count(value) and not (name == "batch_size" and value is None):
            raise InputError(f"{name}={value!r} must be a whole number from 1.")
    if not isinstance(smoothing, (int, float)) or not 0 <= smoothing < 1:
        raise InputError(f"smoothing={smoothing!r} must be from 0 (none) to below 1.")


def _tell_damage(video: Source) -> None:
    if video.damage:
        log.warning("%s: %s.", video.name, video.damage)
