"""Do 16 times more pixels, in tiles, take 16 times as long, and how much more memory?

    python benchmarks/tiles.py [--rounds N]

A MobileNetV2 with random weights; a real image, repeated to 2000x1500 and 8000x6000, in turns in
one process. `tiles` is how many times more tiles there are. `mb` and `base_mb` are the peak
memory beyond the image and its labels, for the larger and the smaller, each in a process of its
own. Writes results/tiles.csv.
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np
from _memory import in_child, peak_of, report, resident, trim_memory
from _table import compared, write
from skimage import data

from easyseg import LabelSet, ModelConfig, Predictor, build_model
from easyseg.inference.options import InferenceOptions
from easyseg.inference.tiling import tile as tile_image

SMALL, LARGE = (1500, 2000), (6000, 8000)
TILES = (513, 1025)
CLASSES = (21, 151)


def predictor(classes: int, tile: int) -> Predictor:
    """A small network that segments in tiles."""
    config = ModelConfig(
        backbone="mobilenetv2", head_channels=128, low_level_channels=32, num_classes=classes
    )
    names = tuple(f"class {i}" for i in range(classes))
    label_set = LabelSet("random", names, ((0, 0, 0),) * classes)
    options = InferenceOptions(tile=tile, runtime="keras")
    return Predictor(build_model(config), label_set, options=options)


def repeated(size: tuple[int, int]) -> np.ndarray:
    """A real image, repeated: `(*size, 3) uint8 RGB`."""
    piece = data.astronaut()
    image = np.empty((*size, 3), np.uint8)
    for top in range(0, size[0], piece.shape[0]):
        for left in range(0, size[1], piece.shape[1]):
            target = image[top : top + piece.shape[0], left : left + piece.shape[1]]
            target[:] = piece[: target.shape[0], : target.shape[1]]
    return image


def seconds(predict: Predictor, image: np.ndarray) -> float:
    """One timed call."""
    started = time.perf_counter()
    predict.one(image)
    return time.perf_counter() - started


def peak(classes: int, tile: int, height: int, width: int) -> None:
    """Reports the peak memory for an image beyond the image, its copy and its labels."""
    predict = predictor(classes, tile)
    predict.one(repeated((tile, tile + 1)))  # compiles
    image = repeated((height, width))
    trim_memory()
    before = resident()
    megabytes, result = peak_of(lambda: predict.one(image))
    report(mb=megabytes - before - (result.image.nbytes + result.labels.nbytes) / 1e6)


def tile_count(size: tuple[int, int], tile: int) -> int:
    """Number of tiles of an image."""
    tiling = tile_image(size, tile)
    return len(tiling.rows) * len(tiling.cols)


def main() -> None:
    """Prints a table and writes the CSV."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak", type=int, nargs=4, help="classes, tile, height, width")
    options = parser.parse_args()
    if options.peak:
        peak(*options.peak)
        return
    rows = []
    for classes, tile in itertools.product(CLASSES, TILES):
        predict = predictor(classes, tile)
        predict.one(repeated(SMALL))
        pairs = [
            (seconds(predict, repeated(LARGE)), seconds(predict, repeated(SMALL)))
            for _ in range(options.rounds)
        ]
        row: dict[str, object] = {"classes": classes, "tile": tile}
        row["tiles"] = round(tile_count(LARGE, tile) / tile_count(SMALL, tile), 1)
        row |= compared(*map(list, zip(*pairs, strict=True)))
        for name, size in (("mb", LARGE), ("base_mb", SMALL)):
            row[name] = round(in_child(__file__, "--peak", classes, tile, *size)["mb"])
        rows.append(row)
    write("tiles", rows)


if __name__ == "__main__":
    main()
