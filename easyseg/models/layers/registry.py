"""The kinds of attention by name, without loading Keras."""

from __future__ import annotations

from typing import Any

from easyseg.utils.registry import Registry

ATTENTIONS: Registry[Any] = Registry(
    "attention",
    modules=dict.fromkeys(("none", "se", "spatial", "cbam"), "easyseg.models.layers.attention"),
)
"""Functions from `(x, name)`, x `(N, h, w, C)` and name the scope of new layers, to the same
shape."""
