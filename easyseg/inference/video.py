"""Films and cameras through the network: reading, the network and writing at the same time."""

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
from easyseg.io.video.image_sequence import PictureWriter
from easyseg.io.video.open import is_address, open_source
from easyseg.io.video.targets import check_target, open_writer
from easyseg.io.video.types import Frame, Source
from easyseg.io.video.window import Preview
from easyseg.io.video.writer import FilmWriter
from easyseg.models.config import is_count
from easyseg.results.segmentation import Segmentation
from easyseg.utils.threaded_steps import in_thread

if TYPE_CHECKING:
    from easyseg.inference.predictor import Predictor  # loads Keras

__all__ = ["VideoSummary", "check_film", "render", "stream"]

log = logging.getLogger(__name__)

Paint = Callable[[Segmentation], np.ndarray]


@dataclasses.dataclass(frozen=True)
class VideoSummary:
    """What became of a film.

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
        """Frames per second of film."""
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
    every: int = 1,
    batch_size: int | None = None,
    smooth: float = 0.0,
    progress: bool = True,
    show: bool | str = False,
) -> VideoSummary:
    """Segments a film, a stream or a camera and writes what is painted of each frame.

    The result keeps the source's size, times, colours and sound. It appears at `out` at the end;
    after an error or an interruption it holds what was done until then.

    Args:
        predictor: The network.
        source: A film's path, an address, or a camera's index.
        out: A film (.mp4, .m4v, .mov, .mkv, .webm), or a folder or pattern (`out/%05d.png`) for
            PNG files; `None` only shows.
        paint: From a segmentation to `(H, W, 3) uint8 RGB`, or `(H, W, 4) uint8 RGBA` for .webm
            and PNG files.
        every: Each so manieth frame goes through the network; those between keep its labels.
        batch_size: Frames that go through together; by default the predictor's, of live sources 1.
        smooth: Share of the past in an exponential mean of the logits, from 0 (none) to below 1.
        progress: Shows a bar.
        show: Shows a window, with this title if it is a text; q or Escape in it ends the film.

    Raises:
        VideoError: The source cannot be read.
        OutputError: The result cannot be written.
        InputError: An argument breaks a rule.
    """
    _check(every, batch_size, smooth)
    target = None if out is None else Path(out)
    if target is not None:
        check_film(source, target)
    elif not show:
        raise InputError("there is no place for the film: give out, or show=True to see it only.")
    started = time.perf_counter()
    done = _Done()
    with contextlib.ExitStack() as stack:
        window = stack.enter_context(Preview(show)) if show else None
        film = stack.enter_context(contextlib.closing(open_source(source)))
        writer = None if target is None else open_writer(target, film)
        if writer:
            stack.enter_context(writer)
        pairs = stack.enter_context(forwarding(predictor, film, every, batch_size, smooth))
        written = in_thread(_written(pairs, paint, writer, done), 1)
        stack.enter_context(contextlib.closing(written))
        bar = stack.enter_context(tqdm(total=film.expected, unit="frame", disable=not progress))
        try:
            for picture in written:
                bar.update()
                if window and not window.show(picture):
                    break
            else:
                if writer:
                    writer.complete()
        except KeyboardInterrupt:
            if not film.live:  # for a camera it is the way to end
                raise
    _tell_damage(film)
    seconds = float(done.end * film.time_base)
    return VideoSummary(target, done.frames, seconds, time.perf_counter() - started, film.damage)


def check_film(source: Any, out: Path, *, alpha: bool = False) -> None:
    """Raises what `render` would raise for these names, before the network is loaded.

    Args:
        source: As in `render`.
        out: As in `render`.
        alpha: Whether pictures will be transparent.

    Raises:
        OutputError: The ending is unknown, or has no transparency.
        InputError: The result would overwrite the source, or is one picture.
        VideoError: The source is a file that is no film.
    """
    check_target(out, alpha=alpha)
    if isinstance(source, (str, os.PathLike)) and not is_address(source):
        open_source(source).close()
        if out.exists() and out.samefile(source):
            raise InputError(f"the result would overwrite the film {out}; give another place.")


def stream(
    predictor: Predictor,
    source: Any,
    *,
    every: int = 1,
    batch_size: int | None = None,
    smooth: float = 0.0,
) -> Iterator[tuple[float, Segmentation]]:
    """Segments a film, a stream or a camera, frame after frame.

    Args:
        predictor: The network.
        source: A film's path, an address, or a camera's index.
        every: Each so manieth frame goes through the network; those between keep its labels.
        batch_size: Frames that go through together; by default the predictor's, of live sources 1.
        smooth: As in `render`.

    Returns:
        Seconds from the start, and the frame's result.

    Raises:
        VideoError: The source cannot be read.
        InputError: An argument breaks a rule.
    """
    _check(every, batch_size, smooth)
    return _results(predictor, open_source(source), every, batch_size, smooth)


def _results(
    predictor: Predictor, film: Source, every: int, batch_size: int | None, smooth: float
) -> Iterator[tuple[float, Segmentation]]:
    with (
        contextlib.closing(film),
        forwarding(predictor, film, every, batch_size, smooth) as pairs,
    ):
        for frame, result in _finished(pairs):
            yield float(frame.pts * film.time_base), result
    _tell_damage(film)


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
    """How far a film has come: frames, and the end of the last one in ticks."""

    frames: int = 0
    end: int = 0


def _written(
    pairs: Pairs, paint: Paint, writer: FilmWriter | PictureWriter | None, done: _Done
) -> Generator[np.ndarray, None, None]:
    for frame, result in _finished(pairs):
        picture = paint(result)
        if picture.ndim != 3 or picture.shape[2] not in (3, 4) or picture.dtype != np.uint8:
            raise InputError(
                f"a frame was painted as {picture.dtype} of shape {picture.shape}; paint must "
                "return (H, W, 3) RGB or (H, W, 4) RGBA, uint8."
            )
        if writer:
            writer.write(picture, frame)
        done.frames, done.end = done.frames + 1, frame.pts + frame.duration
        yield picture


def _check(every: int, batch_size: int | None, smooth: float) -> None:
    for name, value in (("every", every), ("batch_size", batch_size)):
        if not is_count(value) and not (name == "batch_size" and value is None):
            raise InputError(f"{name}={value!r} must be a whole number from 1.")
    if not isinstance(smooth, (int, float)) or not 0 <= smooth < 1:
        raise InputError(f"smooth={smooth!r} must be from 0 (none) to below 1.")


def _tell_damage(film: Source) -> None:
    if film.damage:
        log.warning("%s: %s.", film.name, film.damage)
