"""Joins the results logs of shards into the one that a single run would have written."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class MergedResults:
    """Counts of a run in shards.

    Attributes:
        done: Images segmented.
        failed: `(source, message)` of each image that could not be read or written.
        shards: Number of shards.
        jsonl: The results log.
    """

    done: int
    failed: tuple[tuple[str, str], ...]
    shards: int
    jsonl: Path


def merge_results(out: str | os.PathLike[str]) -> MergedResults:
    """Joins the results logs of all shards."""
    raise NotImplementedError
