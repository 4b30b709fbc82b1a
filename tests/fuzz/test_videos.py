"""Damaged and invented videos: frames or an `EasysegError`, in bounded time and memory."""

from __future__ import annotations

import contextlib
import itertools
import struct

import pytest
from helpers.fuzz import each_run, mutated_bytes, run
from helpers.make_video import RedVideos, make_video
from hypothesis import strategies as st

from easyseg.io.video import open_source

pytest.importorskip("av", reason="videos need easyseg[video]")

FRAMES = 6
SEEDS = {
    "a.mp4": {"audio": "aac", "audio_seconds": 0.2},
    "b.mp4": {"rotation": 90, "index_first": False},
    "c.mkv": {"audio": "libopus", "audio_seconds": 0.2},
    "d.ts": {},
    "e.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "f.avi": {"codec": "rawvideo", "pixels": "rgb24"},
    "g.mkv": {"codec": "ffv1"},
    "h.webm": {"codec": "libvpx"},
    "i.mov": {"codec": "png", "pixels": "rgb24"},
    "j.mp4": {"codec": "mpeg4"},
    "k.nut": {"codec": "mpeg2video"},
    "l.flv": {"codec": "flv"},
}
SIZES = [0, 1, 2, 0x7FFF, 0xFFFF, 0x10000, 20_000, 0x7FFFFFFF, 0xFFFFFFFF]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """Name and content of short videos in many containers and codecs."""
    folder = tmp_path_factory.mktemp("videos")
    seeds = []
    for name, options in SEEDS.items():
        path = make_video(folder / name, frames=FRAMES, size=(32, 32), **options)
        seeds.append((name, path.read_bytes()))
    return seeds


@st.composite
def declared_sizes(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with numbers overwritten by sizes, near its ends, where headers are."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        near = min(len(changed), 1200) - 4
        at = draw(st.integers(0, near) | st.integers(len(changed) - 4 - near, len(changed) - 4))
        code = draw(st.sampled_from([">I", "<I", ">H", "<H"]))
        size = draw(st.sampled_from(SIZES)) & (0xFFFFFFFF if code[1] == "I" else 0xFFFF)
        changed[at : at + struct.calcsize(code)] = struct.pack(code, size)
    return bytes(changed)


def videos(seeds):
    changed = st.sampled_from(seeds).flatmap(
        lambda seed: st.tuples(st.just(seed[0]), mutated_bytes(seed[1]) | declared_sizes(seed[1]))
    )
    swapped = st.tuples(st.sampled_from(list(SEEDS)), st.sampled_from([s for _, s in seeds]))
    return changed | changed | swapped


@each_run(0.4)
def test_frames_of_damaged_videos(seeds, examples, tmp_path):
    def attack(case):
        path = tmp_path / case[0]
        path.write_bytes(case[1])
        with contextlib.closing(open_source(path)) as source:
            for frame in itertools.islice(source.frames(), FRAMES):
                assert frame.image.shape[2] == 3

    run(attack, videos(seeds), examples)


@each_run(0.1)
def test_damaged_videos_are_segmented(seeds, examples, tmp_path, monkeypatch):
    """With their audio, which is copied; large frames and long videos rightly take their time."""
    monkeypatch.setenv("EASYSEG_MAX_PIXELS", "1000000")

    def attack(case):
        path = tmp_path / case[0]
        path.write_bytes(case[1])
        RedVideos().segment_video(path, tmp_path / "out.mp4", end=20, progress=False)

    run(attack, videos(seeds), examples)
