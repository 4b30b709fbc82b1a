"""A check's report as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from easyseg.datasets.check.check import CheckReport

__all__ = ["tell"]

MOST_ROWS = 160
MOST_PROBLEMS = 10


def tell(report: CheckReport) -> str:
    """Counts, sizes, classes, notes, problems, proposal: one thing on a line."""
    dataset = report.dataset
    counts = ", ".join(f"{split} {count}" for split, count in report.counts.items())
    lines = [f"{dataset.name}: {dataset.format}, {counts}"]
    if len(report.sizes):
        low, middle, high = (np.quantile(report.sizes, q, axis=0).astype(int) for q in (0, 0.5, 1))
        lines.append(
            f"images from {low[1]}x{low[0]} to {high[1]}x{high[0]} pixels (width x height), "
            f"median {middle[1]}x{middle[0]}"
        )
    lines += ["", *_classes(report), ""]
    lines += [f"note     {note}" for note in dataset.notes]
    lines += [f"warning  {text}" for text in report.warnings]
    lines += [f"FATAL    {text}" for text in report.fatal[:MOST_PROBLEMS]]
    if len(report.fatal) > MOST_PROBLEMS:
        lines.append(f"FATAL    and {len(report.fatal) - MOST_PROBLEMS} more samples.")
    if report.proposal:
        height, width = report.proposal.crop
        lines += [
            "",
            (
                f"proposal {len(report.proposal.classes)} of {len(dataset.label_set)} classes to "
                f"train on, crop {height}x{width} (height x width), class weights as above"
            ),
        ]
    lines.append("ready to train" if not report.fatal else "not ready to train")
    return "\n".join(lines)


def _classes(report: CheckReport) -> list[str]:
    """A row for each class: id, name, share of the pixels of each split, proposed weight."""
    names, splits = report.dataset.label_set.names, list(report.pixels)
    wide = max(map(len, names))
    rows = [f"{'id':>3}  {'class':<{wide}}" + "".join(f"{s + ' %':>10}" for s in splits)]
    rows[0] += f"{'weight':>10}" if report.proposal else ""
    for i, name in enumerate(names[:MOST_ROWS]):
        row = f"{i:>3}  {name:<{wide}}"
        for split in splits:
            pixels = report.pixels[split]
            row += f"{100 * pixels[i] / max(1, pixels.sum()):>10.3f}"
        if report.proposal:
            row += f"{report.proposal.class_weights[i]:>10.2f}"
        rows.append(row)
    return rows
