"""Images that are nearly the same, and so leak from one split into another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from easyseg.datasets.scan import SampleScan

Pairs = list[tuple[SampleScan, SampleScan]]
CORRELATION = 0.995  # of two thumbnails, from which they show the same
MIN_CONTRAST = 2.0  # gray levels; thumbnails of less contrast are alike anyway
BATCH = 1024  # thumbnails compared at once


def find_near_duplicates(scans: Sequence[SampleScan]) -> tuple[Pairs, Pairs]:
    """Near-duplicates between splits, and those within one.

    Images are compared by gray thumbnails of 16x16 pixels, which survive other sizes, formats and
    exposures; their correlation must be 0.995. For each image its nearest duplicate is reported.
    """
    usable = [s for s in scans if s.thumbnail is not None and s.thumbnail.std() >= MIN_CONTRAST]
    if len(usable) < 2:
        return [], []
    vectors = np.stack([s.thumbnail.ravel() for s in usable if s.thumbnail is not None])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    splits = np.array([s.split for s in usable])
    between: Pairs = []
    within: Pairs = []
    for begin in range(0, len(vectors), BATCH):
        similar = vectors[begin : begin + BATCH] @ vectors.T
        earlier = np.arange(len(vectors)) <= np.arange(begin, begin + len(similar))[:, None]
        similar[earlier] = -1
        splits_differ = splits[begin : begin + BATCH, None] != splits[None]
        for group, duplicates in ((splits_differ, between), (~splits_differ, within)):
            candidates = np.where(group, similar, -1)
            nearest = candidates.argmax(axis=1)
            hits = np.flatnonzero(candidates.max(axis=1) >= CORRELATION)
            duplicates += [(usable[begin + i], usable[nearest[i]]) for i in hits.tolist()]
    return between, within
