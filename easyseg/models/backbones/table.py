"""The table that backbone families fill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from easyseg.config import ModelConfig
from easyseg.registry import Registry

__all__ = ["BACKBONES", "Backbone", "Features"]


class Features(NamedTuple):
    """What a backbone gives: `low` at stride 4, `high` at the output stride."""

    low: Any
    high: Any


Backbone = Callable[[Any, ModelConfig], Features]
"""Takes the picture `(N, H, W, 3)` in -1 to 1 and the config."""

BACKBONES: Registry[Backbone] = Registry("backbone", group="easyseg.backbones")
