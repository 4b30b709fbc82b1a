"""What is wrong with a data set, before training."""

from __future__ import annotations

from easyseg.datasets.check.check import check_dataset
from easyseg.datasets.check.report import CheckReport, Proposal

__all__ = ["CheckReport", "Proposal", "check_dataset"]
