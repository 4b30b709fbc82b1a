"""Do published weights reach their published mean IoU on the real validation set?

    python benchmarks/published.py voc|ade20k|cityscapes PATH [--models NAME ...] [--images N]

PATH is the data set, in any layout that `open_dataset` reads. Each published result on a val split
is measured under its conditions (output stride, scales, mirroring), at the images' own sizes;
models that are not downloaded yet are skipped, unless --models names them. --images takes the first
N only, to see that it runs: its rows are not comparable. DeepLab's own evaluation of ADE20K shrinks
images and masks to 513 pixels before it counts. Writes results/published.csv.
"""

from __future__ import annotations

import argparse
import re

from _table import write

from easyseg import SemanticSegmentation, open_dataset
from easyseg.weights.cache import cached_weights
from easyseg.weights.manifest import Score, weight_sets

STEP = 0.25


def conditions(score: Score) -> dict[str, object]:
    """The options of `SemanticSegmentation` for the conditions of a published result.

    Raises:
        ValueError: They say something else than stride, scales, mirroring and the usual size.
    """
    pattern = (
        r"output stride (\d+), (?:one scale|scales ([\d.]+) to ([\d.]+) in steps of 0.25)"
        r"(, with mirroring)?(?:, \d+ pixels)?"
    )
    match = re.fullmatch(pattern, score.conditions)
    if match is None:
        raise ValueError(f"conditions {score.conditions!r} are not understood.")
    stride, low, high, mirrored = match.groups()
    steps = 0 if low is None else round((float(high) - float(low)) / STEP)
    first = float(low or 1)
    scales = tuple(first + i * STEP for i in range(steps + 1))
    return {"output_stride": int(stride), "scales": scales, "flip": bool(mirrored)}


def main() -> None:
    """Prints the table and writes it as CSV."""
    parser = argparse.ArgumentParser()
    parser.add_argument("labels", choices=["voc", "ade20k", "cityscapes"])
    parser.add_argument("path")
    parser.add_argument("--models", nargs="+", default=[])
    parser.add_argument("--images", type=int)
    asked = parser.parse_args()
    data = open_dataset(asked.path)
    samples = data.split("val")[: asked.images]
    rows: list[dict[str, object]] = []
    for name, entry in weight_sets().items():
        if entry.labels != asked.labels or (asked.models and name not in asked.models):
            continue
        for score in entry.miou:
            if score.split != "val":
                continue
            if not asked.models and cached_weights(entry) is None:
                print(f"{name}: not downloaded; name it with --models to download it")
                break
            seg = SemanticSegmentation(name, **conditions(score))
            scores = seg.evaluate(samples, boundary=False)
            measured = 100 * scores.mean_iou
            rows.append(
                {
                    "model": name,
                    "conditions": score.conditions,
                    "images": len(samples),
                    "published": score.value,
                    "measured": round(measured, 2),
                    "difference": round(measured - score.value, 2),
                    "pixel_accuracy": round(100 * scores.pixel_accuracy, 2),
                }
            )
            print(*rows[-1].values(), flush=True)
    if not rows:
        raise SystemExit(f"no weights for {asked.labels} are downloaded; give --models.")
    write("published", rows)


if __name__ == "__main__":
    main()
