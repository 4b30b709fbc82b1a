"""Data sets: `open_dataset` reads any known format into a `Dataset`."""

from __future__ import annotations

from easyseg.datasets.base import ALL, IGNORE, SPLITS, Dataset, Sample
from easyseg.datasets.formats.base import DATASETS, Format
from easyseg.datasets.open import open_dataset, open_with_options
from easyseg.datasets.options import DatasetOptions

__all__ = [
    "ALL",
    "DATASETS",
    "IGNORE",
    "SPLITS",
    "Dataset",
    "DatasetOptions",
    "Format",
    "Sample",
    "open_dataset",
    "open_with_options",
]
