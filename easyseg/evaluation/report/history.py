"""What a training run wrote down: `results.csv` and `config.yaml`."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["History", "read_history", "read_settings"]

RESULTS, SETTINGS = "results.csv", "config.yaml"


class History(NamedTuple):
    """The epochs of a run.

    Attributes:
        epochs: `(n,)`, as they are numbered in the file.
        phases: The phase of each, such as "warm-up"; empty strings if there are none.
        columns: `(n,) float64` of every column of numbers, by its name; NaN where a cell has none.
    """

    epochs: np.ndarray
    phases: list[str]
    columns: Mapping[str, np.ndarray]

    @property
    def best(self) -> int | None:
        """Row of the highest `val_mean_iou`; `None` if it was never measured."""
        values = self.columns.get("val_mean_iou")
        return None if values is None or np.isnan(values).all() else int(np.nanargmax(values))


def read_history(folder: Path) -> History | None:
    """The epochs of the run in this folder; `None` if it has none.

    A last line that is cut off, as a killed run leaves it, is passed over.
    """
    path = folder / RESULTS
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if None not in row.values()]
    rows = [row for row in rows if not np.isnan(_number(row.get("epoch")))]
    if not rows:
        return None
    columns = {name: np.array([_number(row[name]) for row in rows]) for name in rows[0] if name}
    phases = [row.get("phase") or "" for row in rows]
    return History(columns.pop("epoch"), phases, columns)


def read_settings(folder: Path) -> list[tuple[str, str]]:
    """The run's settings as `("training.loss", "dice")`, in the file's order; empty without any."""
    import yaml  # noqa: PLC0415

    path = folder / SETTINGS
    if not path.is_file():
        return []
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return [(SETTINGS, f"cannot be read ({error})")]
    return list(_flat(values)) if isinstance(values, Mapping) else []


def _flat(values: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", "" if value is None else str(value)


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")
