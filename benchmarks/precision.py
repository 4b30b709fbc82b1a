"""What do "fast" and "int8" cost in quality?

    python benchmarks/precision.py VOC mobilenetv2.voc

VOC is a folder in Pascal VOC's layout. "int8" is calibrated with the first 100 photos of its train
list, and all are measured on val at the photos' own sizes. Writes results/precision.csv.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _table import compared, write
from PIL import Image

from easyseg import Predictor, SemanticSegmentation, read_image
from easyseg.evaluation.metrics import ConfusionMatrix

SETTINGS = {
    "plain exact": ("plain", "exact"),
    "tensorflow exact": ("tensorflow", "exact"),
    "tensorflow fast": ("tensorflow", "fast"),
    "openvino exact": ("openvino", "exact"),
    "onnxruntime exact": ("onnxruntime", "exact"),
    "litert exact": ("litert", "exact"),
    "openvino fast": ("openvino", "fast"),
    "openvino int8": ("openvino", "int8"),
}
CALIBRATION = 100


def rows_of(voc: Path, model: str, home: Path) -> list[dict[str, object]]:
    """A row for each setting."""
    lists = voc / "ImageSets/Segmentation"
    names = (lists / "val.txt").read_text().split()
    train = (lists / "train.txt").read_text().split()[:CALIBRATION]
    seg = SemanticSegmentation(model)
    predictors = {
        key: Predictor(seg.model, seg.label_set, engine=engine, precision=precision, home=home)
        for key, (engine, precision) in SETTINGS.items()
    }
    for key, predict in predictors.items():
        photos = [voc / f"JPEGImages/{name}.jpg" for name in train]
        predict.warmup(photos if key.endswith("int8") else photos[:1])
    scores = {key: ConfusionMatrix(len(seg.label_set)) for key in predictors}
    agreed: dict[str, list[float]] = {key: [] for key in predictors}
    spent: dict[str, list[float]] = {key: [] for key in predictors}
    for name in names:
        photo = read_image(voc / f"JPEGImages/{name}.jpg")
        with Image.open(voc / f"SegmentationClass/{name}.png") as mask:
            truth = np.asarray(mask)
        exact = None
        for key, predict in predictors.items():
            started = time.perf_counter()
            labels = predict.one(photo).labels
            spent[key].append(time.perf_counter() - started)
            exact = labels if exact is None else exact
            agreed[key].append(float((labels == exact).mean()))
            scores[key].update(truth, labels)
    return [
        {"model": model, "setting": key, "photos": len(names)}
        | {"miou": round(100 * scores[key].mean_iou(), 2)}
        | {"labels": round(100 * float(np.mean(agreed[key])), 3)}
        | compared(spent[key], spent["plain exact"])
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
