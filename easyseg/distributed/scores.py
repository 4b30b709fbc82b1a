"""Joins the scores of shards into those of a single run."""

from __future__ import annotations

import os

from easyseg.evaluation.scores import Scores


def merge_scores(out: str | os.PathLike[str]) -> Scores:
    """Joins the scores of all shards."""
    raise NotImplementedError
