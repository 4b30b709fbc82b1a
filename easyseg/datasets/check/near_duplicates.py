"""Images that are nearly the same: what leaks from one split into another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from easyseg.datasets.check.inspect_sample import Facts

__all__ = ["Twins", "find_twins"]

ALIKE = 0.995  # correlation of two small images from which they show the same
FLAT = 2.0  # gray levels; a small image of less contrast has nothing to be known by
ROWS = 1024  # compared at once


class Twins(NamedTuple):
    """Two samples whose images show nearly the same."""

    first: Facts
    second: Facts


def find_twins(facts: Sequence[Facts]) -> tuple[list[Twins], list[Twins]]:
    """Near-duplicates between splits, and those within one.

    Images are compared by gray images of 16x16 pixels, which survive other sizes, formats and
    exposures; the correlation of two must be 0.995. Of each image the nearest twin counts.
    """
    known = [f for f in facts if f.thumbnail is not None and f.thumbnail.std() >= FLAT]
    if len(known) < 2:
        return [], []
    rows = np.stack([f.thumbnail.ravel() for f in known if f.thumbnail is not None])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    splits = np.array([f.split for f in known])
    between: list[Twins] = []
    within: list[Twins] = []
    for begin in range(0, len(rows), ROWS):
        similar = rows[begin : begin + ROWS] @ rows.T
        similar[np.arange(len(rows))[None] <= np.arange(begin, begin + len(similar))[:, None]] = -1
        here = splits[begin : begin + ROWS, None] == splits[None]
        for same, found in ((False, between), (True, within)):
            part = np.where(here == same, similar, -1)
            nearest = part.argmax(axis=1)
            hits = np.flatnonzero(part[np.arange(len(part)), nearest] >= ALIKE)
            found += [Twins(known[begin + i], known[nearest[i]]) for i in hits.tolist()]
    return between, within
