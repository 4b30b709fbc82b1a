"""Curves of trainings that went on from one another, as one; `earlier/` keeps those of before."""

from __future__ import annotations

import csv
from pathlib import Path


def read_curves(paths: list[Path]) -> list[dict[str, str]]:
    """The rows of all runs; each counts on from the last crop of the one before."""
    rows: list[dict[str, str]] = []
    for path in paths:
        before = int(rows[-1]["seen"]) if rows else 0
        with path.open() as file:
            rows += [
                {**row, "seen": str(int(row["seen"]) + before)} for row in csv.DictReader(file)
            ]
    return rows
