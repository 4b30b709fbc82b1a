"""Readers of data sets: one file per format, each a row of a table."""

from __future__ import annotations

from easyseg.datasets.base import IGNORE, SPLITS, Dataset, Sample
from easyseg.datasets.formats.base import DATASETS, Asked, Format
from easyseg.datasets.open import Reading, open_dataset

__all__ = [
    "DATASETS",
    "IGNORE",
    "SPLITS",
    "Asked",
    "Dataset",
    "Format",
    "Reading",
    "Sample",
    "open_dataset",
]
