"""How long do labels at the image's size take, against resizing all logits first?

    python benchmarks/upsample.py [--rounds N]

Both are timed in turns in one process; the ratio is of each pair. `differ` counts pixels with
another label, which are ties within float32; `mb` is the peak memory beyond the logits, measured
in a process of its own. Writes results/upsample.csv.
"""

from __future__ import annotations

import argparse
import time

import cv2
import numpy as np
from _memory import in_child, peak_of, report, resident
from _table import compared, write

from easyseg.results.logit_grid import LogitGrid

CASES = [(c, h, w) for h, w in ((375, 500), (1500, 2000), (3000, 4000)) for c in (21, 151)]
ROUNDS = 5


def smooth_logits(classes: int) -> np.ndarray:
    """Blobs like those of a real network: `(129, 129, classes) float32`."""
    rng = np.random.default_rng(0)
    small = rng.standard_normal((9, 9, classes)).astype(np.float32)
    size = (129, 129)
    return np.dstack(
        [cv2.resize(c, size, interpolation=cv2.INTER_CUBIC) for c in np.dsplit(small, classes)]
    )


def grid_of(classes: int, height: int, width: int) -> LogitGrid:
    """Smooth logits on a grid for an image of this size."""
    return LogitGrid(
        smooth_logits(classes), np.linspace(0, 128, height), np.linspace(0, 128, width)
    )


def naive(grid: LogitGrid) -> np.ndarray:
    """Resizes the logits of every class, then takes the argmax."""
    return np.concatenate([values.argmax(-1) for _, values in grid._upsampled()]).astype(np.uint8)


def seconds(function, *args) -> float:
    """One timed call."""
    started = time.perf_counter()
    function(*args)
    return time.perf_counter() - started


def main() -> None:
    """Prints a table and writes the CSV."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--peak", type=int, nargs=3, help="classes, height, width: memory alone")
    options = parser.parse_args()
    if options.peak:
        grid = grid_of(*options.peak)
        before = resident()
        report(mb=peak_of(grid.labels)[0] - before)
        return
    rows = []
    for case in CASES:
        classes, height, width = case
        grid = grid_of(*case)
        differ = int((grid.labels() != naive(grid)).sum())
        pairs = [(seconds(grid.labels), seconds(naive, grid)) for _ in range(options.rounds)]
        series = map(list, zip(*pairs, strict=True))
        row: dict[str, object] = {"classes": classes, "size": f"{height}x{width}"}
        row |= compared(*series) | {"differ": differ}
        rows.append(row | {"mb": round(in_child(__file__, "--peak", *case)["mb"])})
    write("upsample", rows)


if __name__ == "__main__":
    main()
