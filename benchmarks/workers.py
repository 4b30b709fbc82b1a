"""How fast is one file in several processes, compared with one process?

A video of 300 frames and a scene of 9 megapixels, `mini`, in turns. base_ms is one process with
all cores, ms is two that share them; the time includes the start of the processes. Writes
results/workers.csv.

    python benchmarks/workers.py [--rounds N] [--workers N]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import tifffile
from _table import compared, write
from video import make_video

from easyseg import SemanticSegmentation

FRAMES = 300
SIDE = 3000


def make_scene(path: Path) -> Path:
    """Colored blobs in a tiled, compressed TIFF."""
    blobs = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    image = cv2.resize(blobs, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    tifffile.imwrite(path, image, tile=(256, 256), compression="zlib", photometric="rgb")
    return path


def main() -> None:
    """Measures both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    seg = SemanticSegmentation("mini", tile=513)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = make_video(folder / "v.mp4", FRAMES, None, key_frames=25)
        scene = make_scene(folder / "s.tif")

        def seconds(kind: str, workers: int) -> float:
            began = time.perf_counter()
            options = {"workers": workers, "progress": False}
            if kind == "video":
                seg.segment_video(video, folder / f"{workers}.mp4", **options)
            else:
                seg.segment_scene(scene, folder / f"{workers}.tif", **options)
            return time.perf_counter() - began

        rows = []
        for kind in ("video", "scene"):
            times: dict[int, list[float]] = {1: [], arguments.workers: []}
            for _ in range(arguments.rounds):
                for workers, measured in times.items():
                    measured.append(seconds(kind, workers))
            several, one = times[arguments.workers], times[1]
            rows.append({"what": kind, "workers": arguments.workers, **compared(several, one)})
    write("workers", rows)


if __name__ == "__main__":
    main()
