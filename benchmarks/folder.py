"""How long do pictures of a folder take with `segment_folder`, against one after the other?

Both write overlays, in turns, in one process; the ratio is of each pair. `bare_rate` is the share
of the rate of the network alone, on one canvas in memory again and again, in the same rounds.
Writes results/folder.csv.

    python benchmarks/folder.py FOLDER [MODEL ...]
"""

from __future__ import annotations

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
from easyseg.sources import find_images, result_paths

PICTURES = 200
ROUNDS = 3
BATCHES = (1, 4)


def one_by_one(seg: SemanticSegmentation, sources: list[str], out: Path) -> None:
    """Reads, segments and writes a picture, then the next."""
    found = find_images(sources)
    for picture, target in zip(found, result_paths(found, out), strict=True):
        seg.segment_image(picture.source, target)


def seconds(function, *args, **options) -> float:
    """One timed call, into an empty folder."""
    out = Path(tempfile.mkdtemp())
    started = time.perf_counter()
    function(*args, out, **options)
    spent = time.perf_counter() - started
    shutil.rmtree(out)
    return spent


def bare(seg: SemanticSegmentation, count: int, batch: int) -> float:
    """Seconds of the network alone for so many pictures."""
    canvas = np.zeros((batch, *seg._predictor.input_size, 3), np.float32)
    seg._predictor._network(canvas)
    started = time.perf_counter()
    for _ in range(count // batch):
        seg._predictor._network(canvas)
    return time.perf_counter() - started


def megapixels(sources: list[str]) -> float:
    """The median size of the pictures."""
    sizes = []
    for source in sources:
        with Image.open(source) as image:
            sizes.append(image.width * image.height / 1e6)
    return round(statistics.median(sizes), 2)


def measure(seg: SemanticSegmentation, sources: list[str], batch: int) -> dict[str, object]:
    """A row of the table."""
    seconds(seg.segment_folder, sources[:batch], batch_size=batch, progress=False)
    turns = [
        (
            seconds(seg.segment_folder, sources, batch_size=batch, progress=False),
            seconds(one_by_one, seg, sources),
            bare(seg, len(sources), batch),
        )
        for _ in range(ROUNDS)
    ]
    ours, theirs, alone = map(list, zip(*turns, strict=True))
    row: dict[str, object] = {"model": seg.name, "pictures": len(sources)}
    row |= {"megapixels": megapixels(sources), "batch": batch, **compared(ours, theirs)}
    row["bare_rate"] = round(statistics.median(b / a for a, b in zip(ours, alone, strict=True)), 3)
    return row


def main() -> None:
    """Prints a table and writes the CSV."""
    if len(sys.argv) < 2:
        print(__doc__)
        return
    folder, *models = sys.argv[1:]
    sources = [picture.source for picture in find_images(folder)][:PICTURES]
    rows = []
    for model in models or ["mini"]:
        seg = SemanticSegmentation(model)
        seg.segment_image(sources[0])  # compiles
        rows += [measure(seg, sources, batch) for batch in BATCHES]
    write("folder", rows)


if __name__ == "__main__":
    main()
