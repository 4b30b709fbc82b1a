"""Do 16 times more pixels, in windows, take 16 times as long, and how much more memory?

    python benchmarks/tiles.py [--rounds N]

"mini"'s network with random weights; a real image again and again, 2000x1500 against 8000x6000, in
turns in one process. `windows` is how many times more of them there are. `mb` is the most memory
held beyond the image and its labels, for the larger and for the smaller, each in a process of its
own. Writes results/tiles.csv.
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np
from _memory import give_back, in_child, peak_of, report, resident
from _table import compared, write
from skimage import data

from easyseg import LabelSet, ModelConfig, Predictor, build_model
from easyseg.inference.tiling import tile

SMALL, LARGE = (1500, 2000), (6000, 8000)
WINDOWS = (513, 1025)
CLASSES = (21, 151)


def predictor(classes: int, window: int) -> Predictor:
    """A small network in windows."""
    config = ModelConfig(
        backbone="mobilenetv2", head_channels=128, low_level_channels=32, num_classes=classes
    )
    names = tuple(f"class {i}" for i in range(classes))
    label_set = LabelSet("random", names, ((0, 0, 0),) * classes)
    return Predictor(build_model(config), label_set, tile=window, runtime="tensorflow")


def image(size: tuple[int, int]) -> np.ndarray:
    """`(*size, 3) uint8 RGB`, made without anything beside it."""
    piece = data.astronaut()
    image = np.empty((*size, 3), np.uint8)
    for top in range(0, size[0], piece.shape[0]):
        for left in range(0, size[1], piece.shape[1]):
            place = image[top : top + piece.shape[0], left : left + piece.shape[1]]
            place[:] = piece[: place.shape[0], : place.shape[1]]
    return image


def seconds(predict: Predictor, image: np.ndarray) -> float:
    """One timed call."""
    started = time.perf_counter()
    predict.one(image)
    return time.perf_counter() - started


def peak(classes: int, window: int, height: int, width: int) -> None:
    """Reports the memory of one image beyond the image, its copy and its labels."""
    predict = predictor(classes, window)
    predict.one(image((window, window + 1)))  # builds and compiles
    image = image((height, width))
    give_back()
    before = resident()
    most, result = peak_of(lambda: predict.one(image))
    report(mb=most - before - (result.image.nbytes + result.labels.nbytes) / 1e6)


def windows(size: tuple[int, int], window: int) -> int:
    """How many there are."""
    tiling = tile(size, window)
    return len(tiling.rows) * len(tiling.cols)


def main() -> None:
    """Prints a table and writes the CSV."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak", type=int, nargs=4, help="classes, window, height, width: memory")
    options = parser.parse_args()
    if options.peak:
        peak(*options.peak)
        return
    rows = []
    for classes, window in itertools.product(CLASSES, WINDOWS):
        predict = predictor(classes, window)
        predict.one(image(SMALL))
        pairs = [
            (seconds(predict, image(LARGE)), seconds(predict, image(SMALL)))
            for _ in range(options.rounds)
        ]
        ours, theirs = map(list, zip(*pairs, strict=True))
        row: dict[str, object] = {"classes": classes, "window": window}
        row["windows"] = round(windows(LARGE, window) / windows(SMALL, window), 1)
        row |= compared(ours, theirs)
        for name, size in (("mb", LARGE), ("base_mb", SMALL)):
            row[name] = round(in_child(__file__, "--peak", classes, window, *size)["mb"])
        rows.append(row)
    write("tiles", rows)


if __name__ == "__main__":
    main()
