"""What does each variant of the network gain in a short training?

    python benchmarks/variants.py CAMVID [MODEL] [SEEDS]

Trains every variant from the weights of MODEL (mobilenetv2_050.voc) on a quarter of the images'
pixels, with the same images, crops and order in each variant, and evaluates it on the validation
images at their own size. A variant differs in one option; the seed changes new weights, order and
augmentation. Differences are to the first variant with the same seed. Writes results/variants.csv
after each run; runs that are in it are not repeated.
"""

from __future__ import annotations

import csv
import statistics
import sys
import tempfile
import time
from pathlib import Path

from easyseg import ModelConfig, Predictor, TrainConfig, open_dataset
from easyseg.datasets.scan import scan_dataset
from easyseg.evaluation.evaluate import evaluate
from easyseg.training.plan import make_plan
from easyseg.training.trainer import train
from easyseg.weights.loader import load_model

VARIANTS: dict[str, dict[str, object]] = {
    "decoder": {},
    "bilinear": {"decoder": "none"},
    "rates 3 6 9": {"aspp_rates": (3, 6, 9)},
    "rates 12 24 36": {"aspp_rates": (12, 24, 36)},
    "se both": {"attention": "se", "attention_at": ("aspp", "decoder")},
    "dropout 0": {"dropout": 0.0},
    "dropout 0.5": {"dropout": 0.5},
    "transposed": {"upsampling": "learned"},
}
BASE = {"decoder": "deeplabv3plus", "aspp_rates": (6, 12, 18), "input_size": (193, 257)}
TRAINING = TrainConfig(epochs=4, crop=193, batch_size=8)
RESULTS = Path(__file__).parent / "results" / "variants.csv"


def run(data, start, changes: dict[str, object], seed: int) -> dict[str, float]:
    """Trains and evaluates one variant."""
    config = TRAINING.replace(seed=seed)
    fields = {**BASE, **changes}
    plan = make_plan(scan_dataset(data), start.config, config, same_classes=False, changes=fields)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        train(plan, Path(folder), start=start, progress=False)
        trained = load_model(folder)
    seconds = time.perf_counter() - started
    assert isinstance(trained.config, ModelConfig)
    predictor = Predictor(trained.model, trained.label_set, input_size=trained.config.input_size)
    scores = evaluate(predictor, data.split("val"))
    return {
        "mean_iou": round(100 * scores.mean_iou, 2),
        "boundary_f": round(100 * scores.boundary_f, 2),
        "seconds": round(seconds),
    }


def summary(rows: list[dict[str, object]]) -> None:
    """Prints the mean difference of each variant to the first, and its spread over seeds."""
    table = {(str(r["variant"]), str(r["seed"])): r for r in rows}
    first = next(iter(VARIANTS))
    for name in VARIANTS:
        seeds = [s for v, s in table if v == name and (first, s) in table]
        for metric in ("mean_iou", "boundary_f"):
            differences = [
                float(table[name, s][metric]) - float(table[first, s][metric]) for s in seeds
            ]
            if differences:
                mean = statistics.mean(differences)
                low, high = min(differences), max(differences)
                print(f"{name:16} {metric:11} {mean:+.2f} ({low:+.2f} to {high:+.2f})")


def main() -> None:
    """Runs what is missing, and prints the summary."""
    if len(sys.argv) < 2:
        print(__doc__)
        return
    data = open_dataset(sys.argv[1])
    model = sys.argv[2] if len(sys.argv) > 2 else "mobilenetv2_050.voc"
    seeds = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    start = load_model(model)
    rows: list[dict[str, object]] = []
    if RESULTS.exists():
        with RESULTS.open(newline="") as file:
            rows = [dict(row) for row in csv.DictReader(file)]
    for seed in range(seeds):
        for name, changes in VARIANTS.items():
            if any(row["variant"] == name and row["seed"] == str(seed) for row in rows):
                continue
            row = {"variant": name, "seed": str(seed), **run(data, start, changes, seed)}
            print(row, flush=True)
            rows.append(row)
            with RESULTS.open("w", newline="") as file:
                writer = csv.DictWriter(file, row)
                writer.writeheader()
                writer.writerows(rows)
    summary(rows)


if __name__ == "__main__":
    main()
