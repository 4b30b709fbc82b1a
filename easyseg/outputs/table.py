"""The table of outputs: what `kind=` may say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from easyseg.labels import LabelSet
from easyseg.registry import Registry

__all__ = ["OUTPUTS", "Output", "Segmented"]


class Segmented(Protocol):
    """What an output draws from."""

    @property
    def labels(self) -> np.ndarray:
        """`(H, W)` ids."""

    @property
    def image(self) -> np.ndarray:
        """`(H, W, 3) uint8 RGB`."""

    @property
    def label_set(self) -> LabelSet:
        """Names and colours of the ids."""

    def probability(self, classes: Any) -> np.ndarray:
        """`(H, W) float32`, that a pixel is one of the classes."""


class Output(NamedTuple):
    """A kind of picture.

    Attributes:
        draw: From the segmentation and `alpha` to `(H, W, 3) uint8 RGB` or a `PIL.Image.Image`.
        suffixes: File endings that keep it intact; empty if any picture format will do.
    """

    draw: Callable[[Segmented, float], Any]
    suffixes: tuple[str, ...] = ()


OUTPUTS: Registry[Output] = Registry("kind of output", group="easyseg.outputs")
