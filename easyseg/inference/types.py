"""What an image is on its way: `PreparedImage`, through the network `RawPrediction`, then a result."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from easyseg.inference.preprocess import Letterboxed
from easyseg.results.label_set import LabelSet
from easyseg.results.logit_grid import LogitGrid
from easyseg.results.segmentation import Segmentation

__all__ = ["PreparedImage", "RawPrediction"]


class PreparedImage(NamedTuple):
    """An image that is ready for the network.

    Attributes:
        image: `(H, W, 3) uint8 RGB`.
        placed: The image on the network's canvas; `None` for one that is seen in windows.
        seconds: How long that took.
        source: Its path or address, if it has one.
    """

    image: np.ndarray
    placed: Letterboxed | None
    seconds: float
    source: str | None = None


class RawPrediction(NamedTuple):
    """An image that went through the network, before its labels are computed.

    Attributes:
        image: `(H, W, 3) uint8 RGB`.
        grid: Its logits; `_replace(grid=...)` puts others in their place. `None` for a tiled
            image that has too many of them to be kept.
        label_set: The network's classes.
        speed: Milliseconds spent in "preprocess" and "inference".
        labels: Its labels, where there is no grid.
        source: Its path or address, if it has one.
    """

    image: np.ndarray
    grid: LogitGrid | None
    label_set: LabelSet
    speed: dict[str, float]
    labels: np.ndarray | None = None
    source: str | None = None

    def finish(self) -> Segmentation:
        """Labels at the image's own size."""
        started = time.perf_counter()
        labels = self.labels if self.grid is None else self.grid.labels()
        assert labels is not None  # noqa: S101  (for mypy)
        speed = {**self.speed, "postprocess": 1000 * (time.perf_counter() - started)}
        return Segmentation(labels, self.label_set, self.image, speed, self.grid, self.source)
