"""How many machines and hours for ten million images? A table from the measured cost of one image.

    python tools/plan_scale.py [--model mini] [--images 10000000] [--efficiency 0.9] [--price 0.04]

Nothing is run: hours = images x core-seconds of an image / (cores x efficiency) + the start. The
core-seconds are those of benchmarks/results/folder.csv; the rest are assumptions, which the options
change. Images of another size, model or processor have another cost: measure a hundred of yours.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "benchmarks/results/folder.csv"
MEASURED_CORES = 2  # of the machine of the results
CORES_OF_MACHINE = 16
MACHINES = (1, 4, 16, 64)
START_HOURS = 0.1  # to start machines, and pull the container and the model
PER_IMAGE = {  # measured with names of 30 characters and three classes in an image
    "the results log": 617,
    "memory of the driver, for its plan": 1_130,
    "memory of the driver, to resume": 1_130 + 250,
}  # bytes
LISTING = 60e-6  # seconds of a core to find an image on a local disk and name its result


def core_seconds(model: str) -> float:
    """Of an image, from reading to writing an overlay."""
    with RESULTS.open() as file:
        (row,) = (row for row in csv.DictReader(file) if row["model"] == model)
    return float(row["ms"]) / 1000 / int(row["images"]) * MEASURED_CORES


def plan(images: int, cost: float, efficiency: float, price: float) -> list[dict[str, object]]:
    """An entry for each number of machines."""
    entries = []
    for machines in MACHINES:
        cores = machines * CORES_OF_MACHINE
        hours = images * cost / 3600 / (cores * efficiency) + START_HOURS
        entries.append(
            {
                "machines": machines,
                "cores": cores,
                "hours": round(hours, 1),
                "price": round(hours * cores * price),
                "images a second": round(cores * efficiency / cost),
            }
        )
    return entries


def main() -> None:
    """Prints the table, and what grows with the number of images."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="mini", help="of results/folder.csv")
    parser.add_argument("--images", type=int, default=10_000_000)
    parser.add_argument("--efficiency", type=float, default=0.9, help="of a core among many")
    parser.add_argument("--price", type=float, default=0.04, help="of a core for an hour")
    options = parser.parse_args()
    cost = core_seconds(options.model)
    print(f"{options.images:,} images, {cost:.3f} core-seconds each\n")
    entries = plan(options.images, cost, options.efficiency, options.price)
    print("| " + " | ".join(entries[0]) + " |")
    print("|" + "---|" * len(entries[0]))
    for entry in entries:
        print("| " + " | ".join(f"{value:,}" for value in entry.values()) + " |")
    print()
    for what, size in PER_IMAGE.items():
        print(f"{what}: {options.images * size / 1e9:.1f} GB")
    print(f"finding the images: {options.images * LISTING / 60:.0f} minutes of one core")


if __name__ == "__main__":
    main()
