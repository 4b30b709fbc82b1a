"""How fast are whole videos (read, segmented, drawn, written), compared with the bare network?

The bare network is called with one input in memory. Both are timed in turns in one process; ms and
base_ms are milliseconds per frame, the ratio is of each pair, `bare_rate` is its inverse, and
`cpu_rate` is the same of processor times, which other programs disturb less. Writes
results/video.csv.

    python benchmarks/video.py [VIDEO [MODEL ...]] [--rounds N]

The runtime is the fastest by `optimize`. MODEL is a name, or a backbone, which gets random weights.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from _table import compared, write

from easyseg import Predictor, SemanticSegmentation
from easyseg.inference.video import segment_video
from easyseg.models.backbones.registry import BACKBONES

SIZE = (768, 432)
FRAMES = 377
CLASSES = 151  # of a backbone with random weights


def make_video(path: Path, frames: int, source: Path | None, *, key_frames: int = 250) -> Path:
    """The first frames of a video at `SIZE`, or a slow pan over colored blobs.

    There is a key frame after `key_frames` frames at most.
    """
    rng = np.random.default_rng(0)
    blobs = cv2.resize(rng.integers(0, 256, (27, 60, 3), np.uint8), None, fx=16, fy=16)
    blobs = np.clip(blobs + rng.normal(0, 4, blobs.shape), 0, 255).astype(np.uint8)
    pan = (av.VideoFrame.from_ndarray(np.ascontiguousarray(blobs[:432, i % 192 :][:, :768]))
           for i in range(frames))  # fmt: skip
    with av.open(str(path), "w") as out:
        video = out.add_stream(
            "libx264", rate=25, width=SIZE[0], height=SIZE[1], options={"g": str(key_frames)}
        )
        shown = av.open(str(source)).decode(video=0) if source else pan
        for number, frame in zip(range(frames), shown, strict=False):
            coded = frame.reformat(*SIZE, "yuv420p")
            coded.pts, coded.time_base = number, Fraction(1, 25)
            out.mux(video.encode(coded))
        out.mux(video.encode())
    return path


def opened(model: str) -> SemanticSegmentation:
    """A model, or a backbone with random weights, with the fastest runtime."""
    known = model in BACKBONES
    seg = (
        SemanticSegmentation.create(model, num_classes=CLASSES)
        if known
        else SemanticSegmentation(model)
    )
    seg.optimize()
    return seg


def bare(predictor: Predictor, images: np.ndarray, frames: int) -> None:
    """The network alone."""
    for _ in range(frames):
        predictor.network(images)


def clocked(function, *args) -> tuple[float, float]:
    """Seconds on the wall and in the processor of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    function(*args)
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Prints a table and writes the CSV."""
    parser = argparse.ArgumentParser()
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("models", nargs="*", default=["mini"])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.mp4"
        video = make_video(Path(folder) / "video.mp4", FRAMES, options.video)
        for name in options.models:
            seg = opened(name)
            predictor = seg._predictor
            images = np.zeros((1, *predictor.input_size, 3), np.float32)
            bare(predictor, images, 2)
            whole = functools.partial(segment_video, progress=False)
            pairs = [
                (clocked(whole, predictor, video, out), clocked(bare, predictor, images, FRAMES))
                for _ in range(options.rounds)
            ]
            ours, theirs = ([t / FRAMES for t, _ in times] for times in zip(*pairs, strict=True))
            row = compared(ours, theirs)
            cpu = statistics.median(b[1] / a[1] for a, b in pairs)
            about = {"model": name, "runtime": predictor.runtime, "frames": FRAMES}
            row |= {"bare_rate": round(1 / row["ratio"], 3), "cpu_rate": round(cpu, 3)}
            rows.append({**about, **row})
    write("video", rows)


if __name__ == "__main__":
    main()
