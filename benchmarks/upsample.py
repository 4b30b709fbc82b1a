"""How long do labels at the photo's own size take, against enlarging all logits first?

Both are timed in turns in one process; the ratio is of each pair. Writes results/upsample.csv.
"""

from __future__ import annotations

import time

import cv2
import numpy as np
from _table import compared, write

from easyseg.upsample import LogitGrid

CASES = [(21, 375, 500), (151, 375, 500), (21, 1500, 2000), (151, 1500, 2000)]
ROUNDS = 5


def smooth_logits(classes: int) -> np.ndarray:
    """Blobs like those of a real network: `(129, 129, classes) float32`."""
    rng = np.random.default_rng(0)
    small = rng.standard_normal((9, 9, classes)).astype(np.float32)
    size = (129, 129)
    return np.dstack(
        [cv2.resize(c, size, interpolation=cv2.INTER_CUBIC) for c in np.dsplit(small, classes)]
    )


def naive(grid: LogitGrid) -> np.ndarray:
    """Enlarges the logits of every class, then takes the argmax."""
    return np.concatenate([values.argmax(-1) for _, values in grid._enlarged()]).astype(np.uint8)


def seconds(function, *args) -> float:
    """One timed call."""
    started = time.perf_counter()
    function(*args)
    return time.perf_counter() - started


def main() -> None:
    """Prints a table and writes the CSV."""
    rows = []
    for classes, height, width in CASES:
        rows_at, cols_at = np.linspace(0, 128, height), np.linspace(0, 128, width)
        grid = LogitGrid(smooth_logits(classes), rows_at, cols_at)
        assert (grid.labels() == naive(grid)).mean() > 0.9999
        pairs = [(seconds(grid.labels), seconds(naive, grid)) for _ in range(ROUNDS)]
        ours, theirs = map(list, zip(*pairs, strict=True))
        rows.append({"classes": classes, "size": f"{height}x{width}", **compared(ours, theirs)})
    write("upsample", rows)


if __name__ == "__main__":
    main()
