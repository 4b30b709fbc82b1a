"""Parts of a video that begin with a key frame, and their encoded results joined to one file."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from easyseg.errors import OutputError
from easyseg.io.video.reader import VideoReader
from easyseg.io.video.types import Frame, VideoSource
from easyseg.io.video.writer import VideoWriter

INDEXED = ("mov", "matroska")  # containers in which key frames are found exactly


class Piece(NamedTuple):
    """A part of a video.

    Attributes:
        number: Its position among the pieces.
        first: Timestamp of its first frame, in ticks of the video.
        end: Timestamp after its last frame; `None` for the end of the video.
        frames: Number of frames, according to the file.
    """

    number: int
    first: int
    end: int | None
    frames: int


class EncodedPiece(NamedTuple):
    """The result of a piece.

    Attributes:
        path: A video without audio.
        frames: `(pts, duration)` of each frame in ticks of the source, in order; 0 is the first
            frame of the result that the pieces belong to.
        damage: What of the source could not be read, or "".
    """

    path: Path
    frames: list[tuple[int, int]]
    damage: str


def find_pieces(
    reader: VideoReader, count: int, *, start: int, end: int | None, frame_stride: int
) -> list[Piece]:
    """Cuts a video at key frames into up to `count` pieces of about equal length.

    The file is read once for it; nothing is decoded.

    Args:
        reader: The video. None of its frames may have been read; none can be afterwards.
        count: Number of pieces.
        start: The first timestamp of interest, in ticks.
        end: That after the last.
        frame_stride: The number of frames before each piece is a multiple of it.

    Returns:
        The pieces; one, or none, if it cannot be cut.
    """
    if not reader.format.startswith(INDEXED):
        return []
    packets = reader.packet_times()
    times = sorted(pts for pts, _ in packets if pts is not None)
    keys = {pts for pts, is_key in packets if is_key}
    if len(times) < len(packets) or len(set(times)) < len(times):
        return []
    times = [pts for pts in times if pts >= start and (end is None or pts < end)]
    possible = [i for i in range(frame_stride, len(times), frame_stride) if times[i] in keys]
    cuts = [0]
    for number in range(1, count):
        wanted = number * len(times) / count
        nearest = min(possible, key=lambda i: abs(i - wanted), default=0)
        if nearest > cuts[-1]:
            cuts.append(nearest)
    limits = [*cuts, len(times)]
    return [
        Piece(
            number,
            times[cut],
            times[limits[number + 1]] if limits[number + 1] < len(times) else end,
            limits[number + 1] - cut,
        )
        for number, cut in enumerate(cuts)
        if times
    ]


class PieceReader(VideoReader):
    """The frames of a piece, with timestamps from 0, and no audio.

    Attributes:
        times: `(pts, duration)` of the frames that were read, in ticks of the whole video.
    """

    def __init__(self, path: Path, piece: Piece, *, max_pixels: int | None = None) -> None:
        super().__init__(path, max_pixels=max_pixels)
        self._piece, self.audio, self.expected = piece, None, piece.frames
        self.times: list[tuple[int, int]] = []

    def frames(self) -> Generator[Frame, None, None]:
        """Each frame once."""
        first, end = self._piece.first, self._piece.end
        self.seek(first)
        with contextlib.closing(super().frames()) as frames:
            for frame in frames:
                if end is not None and frame.pts >= end:
                    return
                if frame.pts >= first:
                    self.times.append((frame.pts, frame.duration))
                    yield frame._replace(pts=frame.pts - first)


class PieceJoiner(VideoWriter):
    """Writes the packets of encoded pieces, as they are, and the audio of their source.

    Args:
        out: Output file.
        reader: The source, from which only audio is read.
        source: The same, or the clip of it.
        pieces: In order.

    Raises:
        OutputError: `out` cannot be written.
    """

    def __init__(
        self, out: Path, reader: VideoReader, source: VideoSource, pieces: Sequence[EncodedPiece]
    ) -> None:
        super().__init__(out, source)
        self._pieces = pieces
        self._audio_times = reader.demux_audio() if source.audio else iter(())
        self._read_until = Fraction(-1)

    def join(self, start: Fraction) -> None:
        """Writes all; `start` is where the result begins in the source, in seconds."""
        order = [_decode_order(self._av, piece) for piece in self._pieces]
        delay = max(delay for _, delay in order)
        times = [pts for piece in self._pieces for pts, _ in piece.frames]
        shift = times[min(delay, len(times) - 1)] - times[0]
        decode_times = [pts - shift for pts in times[:delay]] + times  # as encoders have it
        index = 0
        with self._errors():
            for piece, (ranks, _) in zip(self._pieces, order, strict=True):
                for packet, rank in zip(self._packets(piece.path), ranks, strict=True):
                    pts, duration = piece.frames[rank]
                    shown = packet.duration * packet.time_base / self._source.time_base
                    packet.time_base = self._source.time_base
                    packet.pts, packet.dts = pts, decode_times[index]
                    packet.duration = round(shown)  # as the encoder has it
                    packet.stream = self._video
                    self._container.mux(packet)
                    index += 1
                    end = (pts + duration) * self._source.time_base
                    self._read_audio(start + end)
                    self._copy_audio(end)
            self._read_audio(None)
            self._copy_audio(None)
            self._frames = index

    def _packets(self, path: Path) -> Iterator[Any]:
        with self._av.open(f"file:{path}") as container:
            stream = container.streams.video[0]
            if self._container is None:
                self._open_copy(stream)
            elif bytes(stream.codec_context.extradata or b"") != self._extradata:
                raise OutputError(
                    f"Cannot write {self._out}: its pieces were encoded differently. Leave "
                    "workers= out."
                )
            for packet in container.demux(stream):
                if packet.size:
                    yield packet

    def _open_copy(self, stream: Any) -> None:
        self._extradata = bytes(stream.codec_context.extradata or b"")
        self._container = self._av.open(
            f"file:{self._part}",
            "w",
            format=self._format.container,
            container_options=self._format.container_options,
        )
        self._video = self._container.add_stream_from_template(stream)
        self._video.time_base = self._source.time_base
        self._video.codec_context.framerate = self._source.rate
        if self._source.audio:
            self._audio = self._audio_stream(self._source.audio)

    def _read_audio(self, end: Fraction | None) -> None:
        """Reads audio up to a time in the source, in seconds, or all."""
        while end is None or self._read_until < end:
            time = next(self._audio_times, None)
            if time is None:
                return
            self._read_until = time

    def _flush(self) -> None:
        """No encoder holds frames back."""


def _decode_order(av: Any, piece: EncodedPiece) -> tuple[list[int], int]:
    """For each packet of a piece, the position of its frame among those shown; and the delay.

    The delay is the number of packets that are decoded before the first frame is shown.
    """
    with av.open(f"file:{piece.path}") as container:
        packets = [(p.pts, p.dts) for p in container.demux(video=0) if p.size]
    if len(packets) != len(piece.frames):
        raise OutputError(
            f"Cannot join the pieces of a video: {len(piece.frames)} frames gave {len(packets)} "
            "packets. Leave workers= out."
        )
    shown = sorted(pts for pts, _ in packets)
    position = {pts: rank for rank, pts in enumerate(shown)}
    ranks = [position[pts] for pts, _ in packets]
    needed = max(i - rank for i, rank in enumerate(ranks))
    early = sum(dts is not None and dts < shown[0] for _, dts in packets)
    return ranks, max(needed, early)
