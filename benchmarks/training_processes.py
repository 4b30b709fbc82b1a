"""How many images a second do one and two processes train on, with the same cores?

The embedded model (DeepLabV3+ on MobileNetV2), batches of 8 of 257 x 257 pixels, random images, by
`easyseg train` and `easyseg launch`, a run each in turns. An epoch's time is that in results.csv,
without validation; the first epoch, which compiles, is left out. Writes
results/training_processes.csv.

    python benchmarks/training_processes.py
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from _table import write

from easyseg.utils.threads import thread_count

IMAGES, SIZE, EPOCHS, BATCH, ROUNDS = 32, 257, 4, 8, 2
CASES = {  # name: (processes, threads of each)
    "1 process, 1 thread": (1, 1),
    "1 process, all threads": (1, thread_count()),
    "2 processes, half of the threads each": (2, max(1, thread_count() // 2)),
}


def make_images(folder: Path) -> Path:
    """Random images and masks of two classes."""
    rng = np.random.default_rng(0)
    for split, count in (("train", IMAGES), ("val", 1)):
        for kind, high in (("images", 256), ("masks", 2)):
            (folder / kind / split).mkdir(parents=True)
            shape = (SIZE, SIZE, 3) if kind == "images" else (SIZE, SIZE)
            for i in range(count):
                array = rng.integers(0, high, shape, np.uint8)
                cv2.imwrite(str(folder / kind / split / f"{i}.png"), array)
    return folder


def images_per_second(data: Path, run: Path, processes: int, threads: int) -> float:
    """Of the fastest epoch after the first."""
    launch = ["launch", "-n", str(processes), "--"] if processes > 1 else []
    train = ["train", data, "-o", run, "-q", f"--crop={SIZE}"]
    options = [f"--epochs={EPOCHS}", f"--batch-size={BATCH}", "--freeze-backbone-epochs=0"]
    words = [*launch, *train, *options]
    limits = {"OMP_NUM_THREADS": str(threads), "TF_NUM_INTRAOP_THREADS": str(threads)}
    subprocess.run(
        [sys.executable, "-m", "easyseg", *map(str, words)], check=True, env=os.environ | limits
    )
    with (run / "results.csv").open() as file:
        return IMAGES / min(float(row["seconds"]) for row in list(csv.DictReader(file))[1:])


def main() -> None:
    """Measures, and writes the table."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        data = make_images(root / "data")
        rates: dict[str, list[float]] = {name: [] for name in CASES}
        for number in range(ROUNDS):
            for name, (processes, threads) in CASES.items():
                run = root / f"{number}-{processes}-{threads}"
                rates[name].append(images_per_second(data, run, processes, threads))
    write(
        "training_processes",
        [
            {
                "case": name,
                "images_per_second": round(max(rates[name]), 2),
                "per_process": round(max(rates[name]) / processes, 2),
            }
            for name, (processes, _) in CASES.items()
        ],
    )


if __name__ == "__main__":
    main()
