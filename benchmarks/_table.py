"""Tables of ratios, printed and saved as CSV."""

from __future__ import annotations

import csv
import statistics
from pathlib import Path

__all__ = ["RESULTS", "compared", "write"]

RESULTS = Path(__file__).parent / "results"


def compared(seconds: list[float], base_seconds: list[float]) -> dict[str, float]:
    """Median milliseconds of two series timed in turns, and their ratio with its range."""
    ratios = sorted(a / b for a, b in zip(seconds, base_seconds, strict=True))
    return {
        "ms": round(1000 * statistics.median(seconds), 1),
        "base_ms": round(1000 * statistics.median(base_seconds), 1),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_min": round(ratios[0], 3),
        "ratio_max": round(ratios[-1], 3),
    }


def write(name: str, rows: list[dict[str, object]]) -> None:
    """Prints the rows, and writes them to results/<name>.csv."""
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    path = RESULTS / f"{name}.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
