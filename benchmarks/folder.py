"""How long does `segment_folder` take for a folder, compared with one image after the other?

Both write overlays, in turns, in one process; the ratio is of each pair. `bare_rate` is the rate
of the folder over that of the bare network, called with one input in memory, in the same rounds;
`cpu_rate` is the same of processor times, which other programs disturb less. The runtime is the
fastest by `optimize`. Writes results/folder.csv.

    python benchmarks/folder.py FOLDER [MODEL ...] [--rounds N]

MODEL is a model's name, or that of a backbone, which gets 151 classes and random weights.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _table import compared, write
from PIL import Image

from easyseg import SemanticSegmentation
from easyseg.io.find_images import find_images, result_paths
from easyseg.models.backbones.registry import BACKBONES

IMAGES = 200
CLASSES = 151


def opened(model: str) -> SemanticSegmentation:
    """A model with the fastest runtime."""
    known = model in BACKBONES
    seg = (
        SemanticSegmentation.create(model, num_classes=CLASSES)
        if known
        else SemanticSegmentation(model)
    )
    seg.optimize()
    return seg


def one_by_one(seg: SemanticSegmentation, sources: list[str], out: Path) -> None:
    """Reads, segments and writes an image, then the next."""
    found = find_images(sources)
    for image, target in zip(found, result_paths(found, out), strict=True):
        seg.segment_image(image.source, target)


def clocked(function, *args, **options) -> tuple[float, float]:
    """Seconds on the wall and in the processor of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    function(*args, **options)
    return time.perf_counter() - wall, time.process_time() - cpu


def into_folder(function, *args, **options) -> tuple[float, float]:
    """One timed call, into an empty folder."""
    out = Path(tempfile.mkdtemp())
    spent = clocked(function, *args, out, **options)
    shutil.rmtree(out)
    return spent


def bare(seg: SemanticSegmentation, count: int) -> None:
    """The network alone for so many images."""
    images = np.zeros((1, *seg._predictor.input_size, 3), np.float32)
    for _ in range(count):
        seg._predictor.network(images)


def megapixels(sources: list[str]) -> float:
    """The median size of the images."""
    sizes = []
    for source in sources:
        with Image.open(source) as image:
            sizes.append(image.width * image.height / 1e6)
    return round(statistics.median(sizes), 2)


def measure(model: str, sources: list[str], rounds: int) -> dict[str, object]:
    """An entry of the table."""
    seg = opened(model)
    into_folder(seg.segment_folder, sources[:2], progress=False)
    bare(seg, 2)
    turns = [
        (
            into_folder(seg.segment_folder, sources, progress=False),
            into_folder(one_by_one, seg, sources),
            clocked(bare, seg, len(sources)),
        )
        for _ in range(rounds)
    ]
    ours, theirs, alone = (np.array(times) for times in zip(*turns, strict=True))
    row: dict[str, object] = {
        "model": model,
        "runtime": seg._predictor.runtime,
        "images": len(sources),
    }
    row |= {"megapixels": megapixels(sources), **compared(list(ours[:, 0]), list(theirs[:, 0]))}
    bare_rate, cpu_rate = np.median(alone / ours, axis=0)
    return row | {"bare_rate": round(bare_rate, 3), "cpu_rate": round(cpu_rate, 3)}


def main() -> None:
    """Prints a table and writes the CSV."""
    if len(sys.argv) < 2:
        print(__doc__)
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("models", nargs="*", default=["mini"])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sources = [image.source for image in find_images(options.folder)][:IMAGES]
    write("folder", [measure(model, sources, options.rounds) for model in options.models])


if __name__ == "__main__":
    main()
