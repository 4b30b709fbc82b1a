"""How far is the soft alpha from masks drawn by people, with and without the guided filter?

    python benchmarks/matting.py human/ mini mobilenetv2.voc

The folder holds `{Val,Test}_Images/*.jpg` and `{Val,Test}_Masks/*.png`. "hard" is the label mask,
"fade" the probability scaled from 0.25..0.75 to 0..1, "refined" easyseg's alpha. Images whose
person is missed (IoU of the labels below 0.5) tell nothing about boundaries and are left out.
Writes results/matting.csv.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import cv2
import numpy as np
from _table import write

from easyseg import Segmentation, SemanticSegmentation, read_image
from easyseg.inference.background import BACKGROUNDS
from easyseg.results.matting import alpha_of

PARTS = ("Val", "Test")  # the constants of easyseg.results.matting were chosen on "Train"
BAND = 0.005  # of the diagonal: width of the band of the boundary IoU (Cheng et al., CVPR 2021)


def boundary(mask: np.ndarray) -> np.ndarray:
    """The mask's pixels near its boundary."""
    width = max(1, round(BAND * np.hypot(*mask.shape)))
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=width)
    return mask & (inner == 0)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float((a & b).sum() / max(1, (a | b).sum()))


def alphas(result: Segmentation) -> dict[str, np.ndarray]:
    """Alpha of the person, computed in three ways."""
    person = result.label_set.ids_of("person")
    return {
        "hard": np.isin(result.labels, person).astype(np.float32),
        "fade": np.clip((result.probability(person) - 0.25) / 0.5, 0, 1),
        "refined": alpha_of(result.image, result.labels, result.grid, person),
    }


def errors(folder: Path, model: str) -> list[dict[str, object]]:
    """A row for each way of computing alpha."""
    seg = SemanticSegmentation(model)
    scores: dict[str, list[tuple[float, ...]]] = {}
    for path in sorted(p for part in PARTS for p in (folder / f"{part}_Images").glob("*.jpg")):
        image = read_image(path)
        mask_file = folder / path.parent.name.replace("Images", "Masks") / f"{path.stem}.png"
        ground_truth = cv2.resize(read_image(mask_file)[..., 0], image.shape[1::-1]) / 255
        predicted = alphas(seg.segment_image(image))
        if iou(predicted["hard"] > 0.5, ground_truth > 0.5) < 0.5:
            continue
        for name, alpha in predicted.items():
            mask, mean = alpha > 0.5, float(np.abs(alpha - ground_truth).mean())
            edge = iou(boundary(mask), boundary(ground_truth > 0.5))
            scores.setdefault(name, []).append((mean, iou(mask, ground_truth > 0.5), edge))
    return [
        {"model": model, "alpha": name, "images": len(rows)}
        | dict(zip(("mae", "iou", "boundary_iou"), np.mean(rows, 0).round(4), strict=True))
        for name, rows in scores.items()
    ]


def milliseconds(result: Segmentation, effect: str, option: object) -> tuple[float, float]:
    """Shortest time of nine of alpha, and of the composite."""
    draw, person = BACKGROUNDS[effect](option), result.label_set.ids_of("person")
    spent = []
    for _ in range(9):
        started = time.perf_counter()
        alpha = alpha_of(result.image, result.labels, result.grid, person)
        between = time.perf_counter()
        draw(result.image, alpha)
        spent.append((between - started, time.perf_counter() - between))
    return tuple(round(1000 * t, 1) for t in np.min(spent, axis=0))


def main() -> None:
    """Prints two tables and writes the first as CSV."""
    if len(sys.argv) < 2:
        print(__doc__)
        return
    folder, models = Path(sys.argv[1]), sys.argv[2:]
    write("matting", [row for model in models for row in errors(folder, model)])
    image = read_image(max((folder / "Val_Images").glob("*.jpg")))
    options = {"change": 255 - image, "blur": "extreme", "color": "lime"}
    for side in (513, 4000):
        size = side, side * 3 // 4
        result = SemanticSegmentation(models[0]).segment_image(cv2.resize(image, size))
        for effect in BACKGROUNDS:
            times = milliseconds(result, effect, options.get(effect))
            print(f"{size[0]}x{size[1]} {effect}: alpha {times[0]} ms, composite {times[1]} ms")


if __name__ == "__main__":
    main()
