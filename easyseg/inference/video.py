"""Videos and cameras through the network: frames are read, segmented and written concurrently."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import os
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from easyseg.errors import InputError, OutputError, VideoError, show_path
from easyseg.inference.pipeline import Outcome, run_pipeline
from easyseg.inference.smoothing import Smoother
from easyseg.inference.types import RawPrediction
from easyseg.io.video.clip import Clip
from easyseg.io.video.image_sequence import image_pattern
from easyseg.io.video.names import is_url
from easyseg.io.video.open import open_source
from easyseg.io.video.types import Frame, VideoSource
from easyseg.io.video.window import Window
from easyseg.io.video.writer import check_target, open_writer
from easyseg.results.label_set import Classes
from easyseg.results.outputs.base import OUTPUTS, Document, Output
from easyseg.results.outputs.cutout import draw_cutout
from easyseg.results.outputs.spec import OutputSpec
from easyseg.results.segmentation import Segmentation
from easyseg.utils.concurrency import newest
from easyseg.utils.files import system_errors
from easyseg.utils.progress import progress_bar
from easyseg.utils.validation import is_count

if TYPE_CHECKING:
    from easyseg.inference.predictor import Predictor  # loads Keras

log = logging.getLogger(__name__)

Draw = Callable[[Segmentation], Any]
"""From a frame's result to `(H, W, 3) uint8 RGB` or `(H, W, 4) uint8 RGBA`; for PNG files alone,
also to a `PIL.Image.Image`."""

CUTOUT = "cutout"
MAX_PREFETCH = 8  # frames that skip the network are read ahead, and take memory


@dataclasses.dataclass(frozen=True)
class VideoSummary:
    """Counts of a segmented video.

    Attributes:
        out: The file or folder that was written; `None` if the video was only shown.
        frames: Number of frames.
        seconds: Duration of the video.
        elapsed: Seconds that the run took.
        damage: Which part of the source could not be read; empty if none.
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


def segment_video(
    predictor: Predictor,
    video: Any,
    out: str | os.PathLike[str] | None = None,
    *,
    spec: OutputSpec | Draw = OutputSpec(),  # noqa: B008  (frozen)
    frame_stride: int = 1,
    smoothing: float = 0.0,
    start: float = 0.0,
    end: float | None = None,
    progress: bool = True,
    show: bool | str = False,
) -> VideoSummary:
    """Segments a video; see `SemanticSegmentation.segment_video`.

    `spec` may also be a function that draws a frame.
    """
    check_video_options(frame_stride, smoothing, start, end)
    target = None if out is None else Path(out)
    check_video(video, target, spec if isinstance(spec, OutputSpec) else OutputSpec(), show=show)
    draw = _drawer(spec, predictor)
    if target is None and not show:
        raise InputError("Expected an output for the video. Give out, or show=True to see it.")
    began = time.perf_counter()
    frames, seconds = 0, 0.0
    with contextlib.ExitStack() as stack:
        window = stack.enter_context(Window(show)) if show else None
        source = stack.enter_context(contextlib.closing(_open(predictor, video, start, end)))
        writer = None if target is None else open_writer(target, source)
        if writer:
            stack.enter_context(writer)
        results = _segment_frames(predictor, source, frame_stride, smoothing)
        stack.enter_context(contextlib.closing(results))
        bar = stack.enter_context(progress_bar(progress, source.expected, "frame"))
        try:
            for frame, result in results:
                image = _checked(draw(result))
                if writer:
                    writer.write(image, frame)
                frames += 1
                seconds = float((frame.pts + frame.duration) * source.time_base)
                bar.update()
                if window and not window.show(image):
                    break
            else:
                if writer:
                    writer.complete()
        except KeyboardInterrupt as stop:
            if not source.live:
                raise
            stopped = stop  # noqa: F841  (with a camera it is how a recording ends; it is not lost)
    _log_damage(source)
    return VideoSummary(target, frames, seconds, time.perf_counter() - began, source.damage)


def check_video(
    video: Any,
    out: Path | None,
    spec: OutputSpec = OutputSpec(),  # noqa: B008  (frozen)
    *,
    show: bool | str = False,
) -> None:
    """Checks the names of a video and its result, and whether that can hold it; opens nothing.

    Raises:
        OutputError: The extension is unknown, or its format cannot hold the kind.
        InputError: The kind is a document; the result would overwrite the source, or is one image;
            or a window would show values that are no colors.
    """
    if isinstance(OUTPUTS[spec.kind], Document):
        raise InputError(
            f"kind={spec.kind!r} is a document, which cannot be drawn as a video. Choose an image, "
            "such as kind='overlay'."
        )
    exact = _is_exact(spec.kind)
    if exact and show:
        raise InputError(
            f"show={show!r} cannot show kind={spec.kind!r}, which holds values, not colors. "
            "Choose kind='color'."
        )
    if out is None:
        return
    check_target(out, alpha=spec.kind == CUTOUT)
    pattern = image_pattern(out)
    if exact and not pattern:
        raise OutputError(
            f"Cannot write {out}: a video changes values, and kind={spec.kind!r} needs them "
            f"exactly. Give a folder or a pattern such as {out.with_suffix('')}/%05d.png, or "
            "choose kind='color'."
        )
    if exact:
        spec.check_path(pattern)
    if isinstance(video, (str, os.PathLike)) and not is_url(video):
        with system_errors(VideoError, video):
            is_same = out.exists() and os.path.exists(video) and out.samefile(video)  # noqa: PTH110
        if is_same:
            raise InputError(f"The result would overwrite the video {out}. Choose another output.")


def stream_video(
    predictor: Predictor,
    video: Any,
    *,
    classes: Classes | None = None,
    frame_stride: int = 1,
    smoothing: float = 0.0,
    start: float = 0.0,
    end: float | None = None,
) -> Iterator[Segmentation]:
    """Segments a video frame by frame; see `SemanticSegmentation.stream_video`."""
    check_video_options(frame_stride, smoothing, start, end)
    ids = None if classes is None else predictor.label_set.ids_of(classes)
    source = _open(predictor, video, start, end)
    return _stream(predictor, source, ids, frame_stride, smoothing, start)


def _stream(
    predictor: Predictor,
    source: VideoSource,
    ids: Classes | None,
    frame_stride: int,
    smoothing: float,
    start: float,
) -> Iterator[Segmentation]:
    results = _segment_frames(predictor, source, frame_stride, smoothing)
    with contextlib.closing(source), contextlib.closing(results):
        for frame, result in results:
            timestamp = start + float(frame.pts * source.time_base)
            result = dataclasses.replace(result, timestamp=timestamp)  # noqa: PLW2901
            yield result if ids is None else result.filter(ids)
    _log_damage(source)


def _segment_frames(
    predictor: Predictor, source: VideoSource, frame_stride: int, smoothing: float
) -> Generator[tuple[Frame, Segmentation], None, None]:
    """Each frame with its result; those that the network skips keep the labels before them.

    Of a live source the newest frame waits for the network, and older ones are dropped.
    """
    frames = newest(source.frames()) if source.live else source.frames()
    smoother = Smoother(smoothing) if smoothing else None
    outcomes: Generator[Outcome[Any, Any], None, None] = run_pipeline(
        predictor,
        enumerate(frames),
        lambda item: predictor.prepare(item[1].image),
        (lambda prediction: prediction) if smoother else RawPrediction.finish,
        batch_size=1 if source.live else None,
        workers=1 if source.live else None,
        prefetch=1 if source.live else min(frame_stride, MAX_PREFETCH),
        skips=lambda item: item[0] % frame_stride != 0,
    )
    last: Any = None
    with contextlib.closing(frames), contextlib.closing(outcomes):
        for outcome in outcomes:
            _, frame = outcome.item
            prediction = outcome.get()
            if prediction is not None:
                last = smoother(prediction).finish() if smoother else prediction
            yield frame, dataclasses.replace(last, image=frame.image)


def _open(predictor: Predictor, video: Any, start: float, end: float | None) -> VideoSource:
    source = open_source(video, max_pixels=predictor.options.max_pixels)
    return source if start == 0 and end is None else Clip(source, start, end)


def _drawer(spec: OutputSpec | Draw, predictor: Predictor) -> Draw:
    """The function that draws what `spec` says."""
    if not isinstance(spec, OutputSpec):
        return spec
    kind, alpha, legend = spec.kind, spec.alpha, spec.legend
    output: Any = OUTPUTS[kind]
    ids = None if spec.classes is None else predictor.label_set.ids_of(spec.classes)

    def draw(result: Segmentation) -> Any:
        result = result if ids is None else result.filter(ids)
        if kind == CUTOUT:
            return np.asarray(draw_cutout(result))  # plot() has no transparency
        if _is_exact(kind):
            return output.draw(result, alpha)  # plot() shows ids in their colors
        return result.plot(kind, alpha=alpha, legend=legend)

    return draw


def _is_exact(kind: str) -> bool:
    """Whether the kind is an image of values, such as ids, rather than of colors."""
    output = OUTPUTS[kind]
    return isinstance(output, Output) and bool(output.suffixes) and kind != CUTOUT


def _checked(image: Any) -> Any:
    if not isinstance(image, np.ndarray):  # ids as a PIL image
        return image
    if image.ndim != 3 or image.shape[2] not in (3, 4) or image.dtype != np.uint8:
        raise InputError(
            f"Expected a drawn frame as uint8 of shape (H, W, 3) or (H, W, 4), got {image.dtype} "
            f"of shape {image.shape}."
        )
    return image


def check_video_options(
    frame_stride: int, smoothing: float, start: float, end: float | None
) -> None:
    """Raises InputError for an option that breaks its rule."""
    if not is_count(frame_stride):
        raise InputError(f"frame_stride={frame_stride!r} must be a whole number from 1.")
    if not isinstance(smoothing, (int, float)) or not 0 <= smoothing < 1:
        raise InputError(f"smoothing={smoothing!r} must be from 0 (none) to below 1.")
    if not isinstance(start, (int, float)) or not 0 <= start < math.inf:
        raise InputError(f"start={start!r} must be seconds from 0.")
    if end is not None and (not isinstance(end, (int, float)) or not start < end < math.inf):
        raise InputError(f"end={end!r} must be seconds after start={start!r}.")


def _log_damage(source: VideoSource) -> None:
    if source.damage:
        log.warning("%s: %s.", show_path(source.name), source.damage)
