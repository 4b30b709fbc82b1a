"""What do multiple scales, flipping and tiles cost, and what do they gain?

    python benchmarks/quality.py VOC mobilenetv2.voc

VOC is a folder in Pascal VOC's layout; its val images are measured at their own size, with the
masks' 255 ignored. Each image goes through all options in turn; a ratio is the time for an image
divided by that with the first options. Writes results/quality.csv.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from _table import compared, write
from PIL import Image

from easyseg import SemanticSegmentation, read_image
from easyseg.evaluation.metrics import ConfusionMatrix

PYRAMID = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)  # of Google's evaluation
OPTIONS: dict[str, dict[str, object]] = {
    "one scale": {},
    "flip": {"flip": True},
    "scales 0.75, 1, 1.25": {"scales": (0.75, 1.0, 1.25)},
    "scales 0.5 to 1.75, flip": {"scales": PYRAMID, "flip": True},
    "output stride 8": {"output_stride": 8},
    "tile 385": {"tile": 385},
}


def rows_of(voc: Path, model: str) -> list[dict[str, object]]:
    """A row for each set of options."""
    names = (voc / "ImageSets/Segmentation/val.txt").read_text().split()
    models = {key: SemanticSegmentation(model, **options) for key, options in OPTIONS.items()}
    scores = {key: ConfusionMatrix(len(s.label_set)) for key, s in models.items()}
    spent: dict[str, list[float]] = {key: [] for key in models}
    for number, name in enumerate(names):
        image = read_image(voc / f"JPEGImages/{name}.jpg")
        with Image.open(voc / f"SegmentationClass/{name}.png") as mask:
            ground_truth = np.asarray(mask)
        for key, seg in models.items():
            started = time.perf_counter()
            result = seg.segment_image(image)
            if number:  # the first call compiles
                spent[key].append(time.perf_counter() - started)
            scores[key].update(ground_truth, result.labels)
    base = spent["one scale"]
    return [
        {"model": model, "options": key, "images": len(names)}
        | {"miou": round(100 * scores[key].mean_iou(), 2)}
        | compared(spent[key], base)
        for key in models
    ]


def main() -> None:
    """Prints the table and writes it as CSV."""
    if len(sys.argv) < 2:
        print(__doc__)
        return
    voc, models = Path(sys.argv[1]), sys.argv[2:]
    write("quality", [row for model in models for row in rows_of(voc, model)])


if __name__ == "__main__":
    main()
