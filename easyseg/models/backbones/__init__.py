"""Backbones: each gives a low-level feature at stride 4 and a high-level one at output stride.

A family is one file with its table of variants; a variant is one row. Other packages add rows
through the entry-point group `easyseg.backbones`.
"""

from __future__ import annotations

from easyseg.models.backbones import aligned_xception, mobilenet_v2
from easyseg.models.backbones.table import BACKBONES, Features

__all__ = ["BACKBONES", "Features", "aligned_xception", "mobilenet_v2"]
