"""What a backbone is, and the table of those there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from easyseg.models.config import ModelConfig

__all__ = ["Backbone", "Features"]


class Features(NamedTuple):
    """What a backbone gives: `low`, features by their stride, and `high` at the output stride.

    A backbone with a feature at stride 4 can have the decoder "deeplabv3plus", one with a
    feature at stride 8 the decoder "lraspp", one with both the skips (4, 8).
    """

    low: Mapping[int, Any]
    high: Any


Backbone = Callable[[Any, ModelConfig], Features]
"""Takes the image `(N, H, W, 3)` in -1 to 1 and the config."""
