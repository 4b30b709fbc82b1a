"""An image on its way to a result: `PreparedImage`, through the network `RawPrediction`."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from easyseg.inference.preprocess import Letterboxed
from easyseg.results.label_set import LabelSet
from easyseg.results.logit_grid import LogitGrid
from easyseg.results.segmentation import Segmentation


class PreparedImage(NamedTuple):
    """An image that is ready for the network.

    Attributes:
        image: `(H, W, 3) uint8 RGB`.
        letterboxed: The network's input; `None` for an image that is segmented in tiles.
        seconds: How long reading and preprocessing took.
        source: The image's path or URL, if it has one.
        item: Whatever the caller attached to the image; it is handed on.
    """

    image: np.ndarray
    letterboxed: Letterboxed | None
    seconds: float = 0.0
    source: str | None = None
    item: Any = None


class RawPrediction(NamedTuple):
    """What the network computed for an image, before the labels at the image's own size.

    Attributes:
        image: `(H, W, 3) uint8 RGB`.
        grid: The logits; `None` for a tiled image whose logits are too many to be kept.
        label_set: The network's classes.
        speed: Milliseconds spent in "preprocess" and "inference".
        labels: `(H, W)` ids where there is no grid, else `None`.
        source: The image's path or URL, if it has one.
        item: Whatever the caller attached to the image.
    """

    image: np.ndarray
    grid: LogitGrid | None
    label_set: LabelSet
    speed: dict[str, float]
    labels: np.ndarray | None = None
    source: str | None = None
    item: Any = None

    def finish(self) -> Segmentation:
        """Labels at the image's own size; may run in any thread."""
        started = time.perf_counter()
        labels = self.labels if self.grid is None else self.grid.labels()
        assert labels is not None  # noqa: S101  (for mypy)
        speed = {**self.speed, "postprocess": 1000 * (time.perf_counter() - started)}
        return Segmentation(labels, self.label_set, self.image, speed, self.grid, self.source)
