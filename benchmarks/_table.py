"""What the benchmarks share: rows of ratios, printed and kept as CSV."""

from __future__ import annotations

import csv
import statistics
from pathlib import Path

__all__ = ["compared", "write"]


def compared(ours: list[float], theirs: list[float]) -> dict[str, float]:
    """Median milliseconds of two series of seconds timed in turns, and the ratio's spread."""
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    return {
        "ms": round(1000 * statistics.median(ours), 1),
        "base_ms": round(1000 * statistics.median(theirs), 1),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_min": round(ratios[0], 3),
        "ratio_max": round(ratios[-1], 3),
    }


def write(name: str, rows: list[dict[str, object]]) -> None:
    """Prints the rows, and writes them to results/<name>.csv."""
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    path = Path(__file__).parent / "results" / f"{name}.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
