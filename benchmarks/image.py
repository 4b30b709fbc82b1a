"""How long does a 12-megapixel JPEG take without the network, against decoding and encoding alone?

    python benchmarks/image.py [--rounds N]

A real image, repeated to 4000x3000, with logits of "mini": all that makes an overlay of it (JPEG of
the same quality) except the network, against OpenCV's decoding and encoding of the image. Timed in
turns in one process, wall time and processor time; ratios are of pairs.
Writes results/image.csv.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from _table import compared, write
from skimage import data

from easyseg import SemanticSegmentation
from easyseg.inference.preprocess import letterbox
from easyseg.io.read_image import read_image
from easyseg.io.write_image import write_image
from easyseg.results.logit_grid import LogitGrid
from easyseg.results.outputs.render import draw
from easyseg.results.segmentation import Segmentation

SIZE = (3000, 4000)
QUALITY = 95
INPUT_SIZE = (513, 513)


def big_image() -> np.ndarray:
    """`(3000, 4000, 3) uint8 RGB`."""
    image = data.astronaut()
    repeats = [-(-side // tile) for side, tile in zip(SIZE, image.shape[:2], strict=True)]
    return np.tile(image, (*repeats, 1))[: SIZE[0], : SIZE[1]].copy()


def alone(source: Path, target: Path) -> None:
    """Decodes and encodes."""
    pixels = cv2.imdecode(np.fromfile(source, np.uint8), cv2.IMREAD_COLOR)
    cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tofile(target)


def steps(source: Path, target: Path, result: Segmentation) -> dict[str, Callable[[], Any]]:
    """The steps around the network, and all of them together."""
    image, logits = result.image, result.grid.logits

    def labels() -> np.ndarray:
        return LogitGrid(logits, *letterboxed.on_grid(logits.shape[:2])).labels()

    def together() -> None:
        image = read_image(source)
        positions = letterbox(image, INPUT_SIZE).on_grid(logits.shape[:2])
        predicted = LogitGrid(logits, *positions).labels()
        Segmentation(predicted, result.label_set, image).save(target, "overlay")

    letterboxed = letterbox(image, INPUT_SIZE)
    overlay = draw(result, "overlay")
    return {
        "read": lambda: read_image(source),
        "letterbox": lambda: letterbox(image, INPUT_SIZE),
        "labels": labels,
        "overlay": lambda: draw(result, "overlay"),
        "write": lambda: write_image(target, overlay),
        "together": together,
    }


def spent(function: Callable[..., Any], *args: Any) -> tuple[float, float]:
    """Seconds of wall time and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    function(*args)
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    """Prints a table and writes the CSV."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "image.jpg"), Path(folder, "overlay.jpg")
        write_image(source, big_image())
        result = SemanticSegmentation("mini").segment_image(source)
        parts, base = steps(source, target, result), []
        times: dict[str, list[tuple[float, float]]] = {step: [] for step in parts}
        for _ in range(rounds):
            target.unlink(missing_ok=True)  # ext4 waits for the disk where a file is replaced
            base.append(spent(alone, source, target))
            for step, function in parts.items():
                target.unlink(missing_ok=True)
                times[step].append(spent(function))
    rows = []
    for step, pairs in times.items():
        row = compared([wall for wall, _ in pairs], [wall for wall, _ in base])
        cpu = compared([cpu for _, cpu in pairs], [cpu for _, cpu in base])
        rows.append({"step": step, **row, "processor_ratio": cpu["ratio"]})
    write("image", rows)


if __name__ == "__main__":
    main()
