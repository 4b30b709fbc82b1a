"""A long video in pieces: each is segmented by its own process, and their results are joined."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from easyseg.errors import InputError, VideoError, show_path
from easyseg.inference.video import VideoSummary, check_video, check_video_options, segment_video
from easyseg.inference.workers import Opener, Workers, check_workers
from easyseg.io.atomic import output_errors, remove, remove_leftovers, temporary_path
from easyseg.io.video.clip import Clip
from easyseg.io.video.image_sequence import image_pattern
from easyseg.io.video.names import is_url
from easyseg.io.video.pieces import EncodedPiece, Piece, PieceJoiner, PieceReader, find_pieces
from easyseg.io.video.reader import VideoReader
from easyseg.io.video.types import VideoSource
from easyseg.results.outputs.spec import OutputSpec
from easyseg.utils.progress import progress_bar

if TYPE_CHECKING:
    from easyseg.inference.predictor import Predictor

log = logging.getLogger(__name__)

PIECES = 4  # for each process, so that all end at about the same time
SHORTEST = 50  # frames of a piece, on average


class _Task(NamedTuple):
    """What a process does with a piece.

    Attributes:
        video: The whole video.
        piece: Which part of it.
        out: Where the result goes.
        spec: What is drawn.
        frame_stride: As for `segment_video`.
        origin: Ticks of the video at which the result of all pieces begins.
        max_pixels: Of a frame.
    """

    video: Path
    piece: Piece
    out: Path
    spec: OutputSpec
    frame_stride: int
    origin: int
    max_pixels: int | None


def segment_video_pieces(
    opener: Opener,
    video: Any,
    out: str | os.PathLike[str] | None,
    *,
    workers: int,
    spec: OutputSpec,
    frame_stride: int = 1,
    smoothing: float = 0.0,
    start: float = 0.0,
    end: float | None = None,
    progress: bool = True,
    show: bool | str = False,
    max_pixels: int | None = None,
) -> VideoSummary:
    """Segments a video in several processes; arguments as for `segment_video`.

    A video that cannot be cut is segmented by this process, which is logged.

    Args:
        opener: Opens the model, in each process.
        video: A file.
        out: A video.
        workers: Number of processes.
        spec: What is drawn.
        frame_stride: As for `segment_video`, and so are `start`, `end` and `progress`.
        smoothing: Must be 0, for it needs all frames before.
        start: Seconds.
        end: Seconds.
        progress: Shows a bar.
        show: Must be false.
        max_pixels: Of a frame.

    Raises:
        InputError: An argument breaks its rule, or several processes cannot do it.
        VideoError: The video cannot be read.
        OutputError: The result cannot be written. Nothing of it is left.
        WorkerError: A process was killed.
    """
    check_workers(workers)
    check_video_options(frame_stride, smoothing, start, end)
    target = None if out is None else Path(out)
    check_video(video, target, spec, show=show)
    run = functools.partial(
        segment_video, spec=spec, frame_stride=frame_stride, smoothing=smoothing, start=start,
        end=end, progress=progress, show=show,
    )  # fmt: skip
    if workers == 1:
        return run(opener(), video, out)
    path, target = _check(workers, video, target, smoothing, show)
    began = time.perf_counter()
    with contextlib.closing(VideoReader(path, max_pixels=max_pixels)) as reader:
        first, last = (None if t is None else round(t / reader.time_base) for t in (start, end))
        origin = first or 0
        wanted = min(workers * PIECES, max(1, (reader.expected or SHORTEST) // SHORTEST))
        pieces = find_pieces(
            reader,
            max(workers, wanted),
            start=origin,
            end=last,
            frame_stride=frame_stride,
        )
    if len(pieces) < 2:
        log.warning(
            "%s has no key frames at which it can be cut; one process segments it.",
            show_path(path),
        )
        return run(opener(), path, out)
    with output_errors(target):
        folder = temporary_path(target)
        remove_leftovers(target.parent)
        folder.mkdir()
    try:
        tasks = [
            _Task(path, piece, folder / f"{piece.number}{target.suffix}", spec, frame_stride,
                  origin, max_pixels)
            for piece in pieces
        ]  # fmt: skip
        try:
            encoded = _segment_pieces(opener, tasks, workers, progress=progress)
        except VideoError as error:  # its key frames are damaged
            log.warning("%s One process segments it.", error)
        else:
            return _join(target, path, encoded, start, end, began, max_pixels)
    finally:
        remove(folder)
    return run(opener(), path, out)


def _segment_pieces(
    opener: Opener, tasks: list[_Task], workers: int, *, progress: bool
) -> list[EncodedPiece]:
    encoded = []
    with (
        progress_bar(progress, sum(task.piece.frames for task in tasks), "frame") as bar,
        Workers(min(workers, len(tasks)), opener) as processes,
    ):
        for piece in processes.map(_segment_piece, tasks):
            encoded.append(piece)
            bar.update(len(piece.frames))
    return encoded


def _check(
    workers: int, video: Any, out: Path | None, smoothing: float, show: bool | str
) -> tuple[Path, Path]:
    """The file and the output, or InputError where several processes cannot do it."""
    reasons = {
        f"smoothing={smoothing!r} needs all frames before": smoothing > 0,
        f"show={show!r} shows frames in order": bool(show),
        "a camera or a stream cannot be cut": isinstance(video, (int, VideoSource))
        or is_url(video),
        "a pipe cannot be cut": _is_pipe(video),
        "PNG files are not joined": out is not None and image_pattern(out) is not None,
    }
    for reason, holds in reasons.items():
        if holds:
            raise InputError(f"workers={workers!r} is not available: {reason}. Leave workers= out.")
    if out is None or not isinstance(video, (str, os.PathLike)):
        raise InputError(f"workers={workers!r} needs the path of a video and an output. Give both.")
    return Path(video), out


def _is_pipe(video: Any) -> bool:
    if not isinstance(video, (str, os.PathLike)) or is_url(video):
        return False
    path = Path(video)
    return path.exists() and not (path.is_file() or path.is_dir())


def _segment_piece(predictor: Predictor, task: _Task) -> EncodedPiece:
    """In a process of its own."""
    reader = PieceReader(task.video, task.piece, max_pixels=task.max_pixels)
    summary = segment_video(
        predictor,
        reader,
        task.out,
        spec=task.spec,
        frame_stride=task.frame_stride,
        progress=False,
    )
    frames = [(pts - task.origin, duration) for pts, duration in reader.times[: summary.frames]]
    if frames[0][0] + task.origin != task.piece.first:
        raise VideoError(
            f"Cannot read {show_path(task.video)} in pieces: a key frame is damaged, or its index "
            "does not lead there. Leave workers= out."
        )
    return EncodedPiece(task.out, frames, summary.damage)


def _join(
    out: Path,
    video: Path,
    pieces: list[EncodedPiece],
    start: float,
    end: float | None,
    began: float,
    max_pixels: int | None,
) -> VideoSummary:
    reader = VideoReader(video, max_pixels=max_pixels)
    source: VideoSource = reader
    if start > 0 or end is not None:
        source = Clip(reader, start, end)
    with contextlib.closing(source), PieceJoiner(out, reader, source, pieces) as joiner:
        joiner.join(Fraction(start))
    pts, duration = pieces[-1].frames[-1]
    damage = "; ".join(dict.fromkeys(piece.damage for piece in pieces if piece.damage))
    if damage:
        log.warning("%s: %s.", show_path(video), damage)
    return VideoSummary(
        out,
        sum(len(piece.frames) for piece in pieces),
        float((pts + duration) * reader.time_base),
        time.perf_counter() - began,
        damage,
    )
