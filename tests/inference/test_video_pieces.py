"""A video in several processes: the same frames, times and audio as from one."""

from __future__ import annotations

import functools
import os
from fractions import Fraction

import cv2
import numpy as np
import pytest
from helpers import worker_openers
from helpers.make_video import audio_packets, make_video, read_video
from helpers.painted_network import VOC

from easyseg import OutputSpec, SemanticSegmentation
from easyseg.errors import EasysegError, InputError, VideoError, WeightsError
from easyseg.inference.video_pieces import segment_video_pieces
from easyseg.inference.workers import WorkerError
from easyseg.io.video.pieces import find_pieces
from easyseg.io.video.reader import VideoReader

pytest.importorskip("av")


@pytest.fixture(scope="module")
def seg():
    return SemanticSegmentation("mini")


def make_image(number, size):
    """A person in its color, who moves before a bus."""
    image = np.empty((size[1], size[0], 3), np.uint8)
    image[:] = VOC.colors[6]
    left = 3 * number % (size[0] - 32)
    image[8:72, left : left + 32] = VOC.colors[15]
    return image


def described(path):
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        return (
            stream.average_rate,
            stream.time_base,
            stream.duration,
            stream.sample_aspect_ratio,
            (context.name, context.width, context.height, context.pix_fmt),
            (context.colorspace, context.color_range, context.color_primaries),
            len(container.streams.audio),
        )


def compare(video, folder, extension, **options):
    """Both results, and the fraction of pixels whose color is nearly the same."""
    one, two = (folder / f"{number}{extension}" for number in (1, 2))
    run = functools.partial(
        segment_video_pieces,
        worker_openers.see_colors,
        video,
        spec=OutputSpec("color"),
        progress=False,
        **options,
    )
    alone, shared = run(out=one, workers=1), run(out=two, workers=2)
    assert shared.frames == alone.frames
    assert shared.seconds == alone.seconds
    assert sorted(folder.iterdir()) == sorted([video, one, two])
    (times, frames), (same_times, same_frames) = read_video(one), read_video(two)
    assert times == same_times
    assert described(one) == described(two)
    assert len({frame.tobytes() for frame in frames}) > 5
    assert len(frames) == alone.frames
    difference = np.abs(np.stack(frames).astype(int) - np.stack(same_frames)).max(-1)
    return one, two, np.mean(difference < 40)


def test_audio_variable_frame_rate_and_rotation(tmp_path):
    random = np.random.default_rng(0)
    times = np.cumsum(random.integers(20, 70, 60))
    video = make_video(
        tmp_path / "v.mp4",
        frames=60,
        timestamps=[int(t) for t in times],
        time_base=Fraction(1, 1000),
        size=(160, 96),
        audio="aac",
        rotation=90,
        make_image=make_image,
        audio_seconds=float(times[-1]) / 1000,
    )
    one, two, same = compare(video, tmp_path, ".mp4")
    assert same > 0.98
    assert audio_packets(one) == audio_packets(two)
    assert len(audio_packets(two)) > 50


@pytest.mark.slow
@pytest.mark.parametrize("extension", [".mkv", ".webm"])
def test_parts_of_a_video_and_strides(tmp_path, extension):
    video = make_video(
        tmp_path / "v.mkv", frames=100, size=(160, 96), audio="libopus", make_image=make_image
    )
    options = {"start": 0.5, "end": 3.3, "frame_stride": 3}
    one, two, same = compare(video, tmp_path, extension, **options)
    assert same > 0.98
    assert audio_packets(one) == audio_packets(two)


@pytest.mark.slow
def test_a_model_in_two_processes(seg, shared, tmp_path):
    image = cv2.imread(str(shared / "data/photos/dog.jpg"))[..., ::-1]
    image = cv2.resize(image, (420, 320))

    def pan(number, size):
        return np.ascontiguousarray(image[40 : 40 + size[1], number : number + size[0]])

    video = make_video(tmp_path / "v.mp4", frames=40, size=(320, 240), make_image=pan)
    runs = []
    for workers in (1, 2):
        out = tmp_path / f"{workers}.mp4"
        seg.segment_video(video, out, kind="color", workers=workers, progress=False)
        runs.append(np.stack(read_video(out)[1]).astype(int))
    assert np.mean(np.abs(runs[0] - runs[1]).max(-1) < 40) > 0.98


def test_pieces_begin_with_key_frames(tmp_path):
    video = make_video(tmp_path / "v.mp4", frames=95)  # a key frame every 10

    def pieces(count, *, start=0, end=None, frame_stride=1):
        reader = VideoReader(video)
        ticks = round(1 / (25 * reader.time_base))
        found = find_pieces(
            reader,
            count,
            start=start * ticks,
            end=None if end is None else end * ticks,
            frame_stride=frame_stride,
        )
        reader.close()
        firsts = [piece.first // ticks for piece in found]
        assert [p.end for p in found[:-1]] == [p.first for p in found[1:]]
        return firsts, [piece.frames for piece in found]

    assert pieces(2) == ([0, 50], [50, 45])
    assert pieces(4) == ([0, 20, 50, 70], [20, 30, 20, 25])
    assert pieces(100)[0] == list(range(0, 95, 10))
    assert pieces(2, start=7, end=61) == ([7, 30], [23, 31])
    assert pieces(3, frame_stride=4) == ([0, 40, 60], [40, 20, 35])
    assert pieces(2, frame_stride=7) == ([0, 70], [70, 25])
    assert pieces(2, start=93) == ([93], [2])
    assert pieces(2, start=99) == ([], [])


def test_a_video_that_cannot_be_cut(seg, tmp_path, caplog):
    video = make_video(tmp_path / "v.mp4", frames=9)  # one key frame
    summary = seg.segment_video(video, tmp_path / "o.mp4", workers=2, progress=False)
    assert summary.frames == 9
    assert "v.mp4 has no key frames at which it can be cut; one process" in caplog.text


@pytest.mark.slow
def test_a_damaged_key_frame(tmp_path, caplog):
    import av

    video = make_video(tmp_path / "v.mp4", frames=40, make_image=make_image, size=(160, 96))
    with av.open(str(video)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        place, size = next((p.pos, p.size) for p in packets[20:] if p.is_keyframe)
    content = bytearray(video.read_bytes())
    content[place + 5 : place + size] = bytes(size - 5)
    video.write_bytes(content)
    _, _, same = compare(video, tmp_path, ".mp4")
    assert same > 0.98
    assert "v.mp4 in pieces: a key frame is damaged" in caplog.text
    assert "One process segments it." in caplog.text


@pytest.mark.parametrize(
    ("opener", "error", "message"),
    [
        (worker_openers.Refuse, WeightsError, "no weights here"),
        (worker_openers.Kill, WorkerError, "worker process was killed.*fewer workers"),
    ],
)
def test_a_failed_piece_leaves_nothing(opener, error, message, tmp_path):
    video = make_video(tmp_path / "v.mp4", frames=40)
    out = tmp_path / "out" / "o.mp4"
    with pytest.raises(error, match=message):
        segment_video_pieces(opener(), video, out, workers=2, spec=OutputSpec(), progress=False)
    assert list(out.parent.iterdir()) == []


def test_refusals(seg, tmp_path):
    video = make_video(tmp_path / "v.mp4")
    run = functools.partial(seg.segment_video, video, tmp_path / "o.mp4", workers=2)
    for options, message in (
        ({"smoothing": 0.5}, r"workers=2 is not available: smoothing=0\.5 needs all frames"),
        ({"show": True}, r"workers=2 is not available: show=True"),
        ({"workers": 0}, r"workers=0 must be a whole number from 1"),
    ):
        with pytest.raises(InputError, match=message):
            run(**options)
    with pytest.raises(InputError, match=r"PNG files are not joined\. Leave workers= out"):
        seg.segment_video(video, tmp_path / "frames", workers=2)
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(InputError, match="a pipe cannot be cut"):
        seg.segment_video(tmp_path / "pipe.mp4", tmp_path / "o.mp4", workers=2)
    (tmp_path / "pipe.mp4").unlink()
    with pytest.raises(InputError, match="a camera or a stream cannot be cut"):
        seg.segment_video(0, tmp_path / "o.mp4", workers=2)
    with pytest.raises(VideoError, match="does not exist"):
        seg.segment_video(tmp_path / "missing.mp4", tmp_path / "o.mp4", workers=2)
    with pytest.raises(EasysegError, match="persn"):
        seg.segment_video(video, tmp_path / "o.mp4", workers=2, classes=["persn"])
    assert list(tmp_path.iterdir()) == [video]
