"""How many machines and hours for ten million images? A table from measured costs of one image.

    python tools/plan_scale.py [--images 10000000] [--cost 0.40] [--efficiency 0.95]

Nothing is run: hours = images x seconds of one core / (cores x efficiency), plus the start. The
seconds are those of docs/performance.md and results/scale.csv, of the machine described there;
measure your own by `easyseg segment` of a hundred images on one core (OMP_NUM_THREADS=1). The price
is an assumption: what a core costs for an hour.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "benchmarks/results/scale.csv"
CORES = (16, 64, 256, 1024)
CORES_OF_MACHINE = 16
BYTES_OF_ROW = 700  # of the results log, for an image
BYTES_OF_JOB = 1300  # of the driver's memory, for an image
START_HOURS = 0.1  # to start machines and pull the container


def seconds_of_image() -> float:
    """Of one core, as benchmarks/scale.py measured it with one worker."""
    with RESULTS.open() as file:
        return 1 / float(next(csv.DictReader(file))["one_worker"])


def plan(images: int, seconds: float, efficiency: float, cost: float) -> list[dict[str, object]]:
    """An entry for each number of cores."""
    entries = []
    for cores in CORES:
        hours = images * seconds / 3600 / (cores * efficiency) + START_HOURS
        entries.append(
            {
                "machines": cores // CORES_OF_MACHINE,
                "cores": cores,
                "hours": round(hours, 1),
                "cost": round(hours * cores * cost),
                "images_a_second": round(cores * efficiency / seconds),
            }
        )
    return entries


def main() -> None:
    """Prints the table and what grows with the number of images."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=float, help="of one core for an image")
    parser.add_argument("--efficiency", type=float, default=0.95)
    parser.add_argument("--cost", type=float, default=0.04, help="of a core for an hour")
    options = parser.parse_args()
    seconds = options.seconds or seconds_of_image()
    print(f"{options.images:,} images of {seconds:.4f} s of one core each")
    entries = plan(options.images, seconds, options.efficiency, options.cost)
    print("| " + " | ".join(entries[0]) + " |")
    print("|" + " --- |" * len(entries[0]))
    for entry in entries:
        print("| " + " | ".join(f"{value:,}" for value in entry.values()) + " |")
    print(f"results log: {options.images * BYTES_OF_ROW / 1e9:.1f} GB")
    print(f"memory of the driver: {options.images * BYTES_OF_JOB / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
