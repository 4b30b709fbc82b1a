"""What do "bfloat16" and "int8" cost in quality?

    python benchmarks/precision.py VOC mobilenetv2.voc

VOC is a folder in Pascal VOC's layout. "int8" is calibrated with the first 100 images of its train
list, and all are measured on val at the images' own sizes. Writes results/precision.csv.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _table import compared, write
from PIL import Image

from easyseg import SemanticSegmentation, read_image
from easyseg.evaluation.metrics import ConfusionMatrix

RUNTIMES = {
    "keras float32": ("keras", "float32"),
    "openvino float32": ("openvino", "float32"),
    "onnxruntime float32": ("onnxruntime", "float32"),
    "openvino bfloat16": ("openvino", "bfloat16"),
    "openvino int8": ("openvino", "int8"),
}
CALIBRATION = 100


def rows_of(voc: Path, model: str, home: Path) -> list[dict[str, object]]:
    """A row for each runtime and precision."""
    lists = voc / "ImageSets/Segmentation"
    names = (lists / "val.txt").read_text().split()
    train = (lists / "train.txt").read_text().split()[:CALIBRATION]
    seg = SemanticSegmentation(model)
    opened = {
        key: SemanticSegmentation(model, runtime=runtime, precision=precision, cache_dir=home)
        for key, (runtime, precision) in RUNTIMES.items()
        if precision != "int8"
    }
    images = [voc / f"JPEGImages/{name}.jpg" for name in train]
    int8 = SemanticSegmentation(model, precision="int8", cache_dir=home)
    int8.optimize(images)
    predictors = {**opened, "openvino int8": int8}
    scores = {key: ConfusionMatrix(len(seg.label_set)) for key in predictors}
    agreed: dict[str, list[float]] = {key: [] for key in predictors}
    spent: dict[str, list[float]] = {key: [] for key in predictors}
    for name in names:
        image = read_image(voc / f"JPEGImages/{name}.jpg")
        with Image.open(voc / f"SegmentationClass/{name}.png") as mask:
            ground_truth = np.asarray(mask)
        reference = None
        for key, predict in predictors.items():
            started = time.perf_counter()
            labels = predict.segment_image(image).labels
            spent[key].append(time.perf_counter() - started)
            reference = labels if reference is None else reference
            agreed[key].append(float((labels == reference).mean()))
            scores[key].update(ground_truth, labels)
    return [
        {"model": model, "runtime": key, "images": len(names)}
        | {"miou": round(100 * scores[key].mean_iou(), 2)}
        | {"labels": round(100 * float(np.mean(agreed[key])), 3)}
        | compared(spent[key], spent["keras float32"])
        for key in predictors
    ]


def main() -> None:
    """Prints the table and writes it as CSV."""
    if len(sys.argv) != 3:
        print(__doc__)
        return
    with tempfile.TemporaryDirectory() as home:
        write("precision", rows_of(Path(sys.argv[1]), sys.argv[2], Path(home)))


if __name__ == "__main__":
    main()
