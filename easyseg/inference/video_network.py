"""Frames of a video through the network, in threads of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from easyseg.inference.smoothing import Smoother
from easyseg.io.video.types import Frame, Source
from easyseg.utils.concurrency import prefetch

if TYPE_CHECKING:
    from easyseg.inference.predictor import Predictor  # loads Keras
    from easyseg.inference.types import PreparedImage, RawPrediction

__all__ = ["Pairs", "forwarding"]

Frames = Generator[Frame, None, None]
Chosen = Generator[tuple[Frame, "PreparedImage | None"], None, None]
Pairs = Generator[tuple[Frame, "RawPrediction | None"], None, None]


@contextlib.contextmanager
def forwarding(
    predictor: Predictor, video: Source, frame_stride: int, batch_size: int | None, smoothing: float
) -> Iterator[Pairs]:
    """Reading in one thread and the network in another, while the pairs are used in a third.

    Of a live source the newest frame waits, and older ones are dropped.
    """
    size = batch_size or (1 if video.live else predictor.batch_size)
    if video.live:  # what is dropped need not be made ready
        chosen = _chosen(predictor, prefetch(video.frames(), 1, drop_oldest=True), frame_stride)
    else:
        chosen = prefetch(_chosen(predictor, video.frames(), frame_stride), 2 * size)
    pairs = prefetch(_forwarded(predictor, chosen, size, smoothing), 1 if video.live else size)
    with contextlib.closing(chosen), contextlib.closing(pairs):
        yield pairs


def _chosen(predictor: Predictor, frames: Frames, frame_stride: int) -> Chosen:
    """The frames; each `frame_stride`-th ready for the network, which does not see the others."""
    with contextlib.closing(frames):
        for number, frame in enumerate(frames):
            yield frame, predictor.prepare(frame.image) if number % frame_stride == 0 else None


def _forwarded(predictor: Predictor, frames: Chosen, size: int, smoothing: float) -> Pairs:
    """Each frame with what the network made of it; `None` for those that it did not see."""
    smoother = Smoother(smoothing)

    def calm(seen: RawPrediction) -> RawPrediction:
        if not smoothing or seen.grid is None:
            return seen
        logits = smoother(seen.image, seen.grid.logits)
        return seen._replace(grid=seen.grid._replace(logits=logits))

    for group in _groups(frames, size):
        seen = [prepared for _, prepared in group if prepared is not None]
        results = predictor.forward(seen, batch_size=size)
        for frame, prepared in group:
            yield frame, None if prepared is None else calm(next(results))


def _groups(frames: Chosen, size: int) -> Iterator[list[tuple[Frame, PreparedImage | None]]]:
    """Frames for one batch: up to `size` that the network shall see, and those between.

    Frames that come before any that the network should see wait for nothing.
    """
    group: list[tuple[Frame, PreparedImage | None]] = []
    seen = 0
    for frame, prepared in frames:
        group.append((frame, prepared))
        seen += prepared is not None
        if seen in (0, size):
            yield group
            group, seen = [], 0
    if group:
        yield group
