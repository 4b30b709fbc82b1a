"""Do 16 times more pixels, in tiles, take 16 times as long, and how much more memory?

    python benchmarks/tiles.py [--rounds N]

"mini"'s network with random weights, windows of 513 pixels: 2000x1500 against 8000x6000, in turns
in one process. `mb` is the most memory held beyond the photo and its labels, for the larger and
for the smaller, each in a process of its own. Logits of up to 256 MB stay with a result, which
is what differs between 21 and 151 classes. Writes results/tiles.csv.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from _memory import in_child, peak_of, report, resident
from _table import compared, write

from easyseg import LabelSet, ModelConfig, Predictor, build_model
from easyseg.tiles import tile

SMALL, LARGE = (1500, 2000), (6000, 8000)
WINDOW = 513


def predictor(classes: int) -> Predictor:
    """A small network in windows."""
    config = ModelConfig(
        backbone="mobilenetv2", head_channels=128, low_level_channels=32, classes=classes
    )
    names = tuple(f"class {i}" for i in range(classes))
    label_set = LabelSet("random", names, ((0, 0, 0),) * classes)
    return Predictor(build_model(config), label_set, tile=WINDOW, engine="tensorflow")


def photo(size: tuple[int, int]) -> np.ndarray:
    """Noise, `(*size, 3) uint8`."""
    return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


def seconds(predict: Predictor, picture: np.ndarray) -> float:
    """One timed call."""
    started = time.perf_counter()
    predict.one(picture)
    return time.perf_counter() - started


def peak(classes: int, height: int, width: int) -> None:
    """Reports the memory of one picture beyond the picture, its copy and its labels."""
    predict = predictor(classes)
    predict.one(photo((WINDOW, WINDOW + 1)))  # builds and compiles
    picture = photo((height, width))
    before = resident()
    most, result = peak_of(lambda: predict.one(picture))
    report(mb=most - before - (result.image.nbytes + result.labels.nbytes) / 1e6)


def windows(size: tuple[int, int]) -> int:
    """How many there are."""
    tiling = tile(size, WINDOW)
    return len(tiling.rows) * len(tiling.cols)


def main() -> None:
    """Prints a table and writes the CSV."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak", type=int, nargs=3, help="classes, height, width: memory alone")
    options = parser.parse_args()
    if options.peak:
        peak(*options.peak)
        return
    rows = []
    for classes in (21, 151):
        predict = predictor(classes)
        predict.one(photo(SMALL))
        pairs = [
            (seconds(predict, photo(LARGE)), seconds(predict, photo(SMALL)))
            for _ in range(options.rounds)
        ]
        ours, theirs = map(list, zip(*pairs, strict=True))
        row: dict[str, object] = {"classes": classes, "windows": windows(LARGE) / windows(SMALL)}
        row |= compared(ours, theirs)
        for name, size in (("mb", LARGE), ("base_mb", SMALL)):
            row[name] = round(in_child(__file__, "--peak", classes, *size)["mb"])
        rows.append(row)
    write("tiles", rows)


if __name__ == "__main__":
    main()
