"""Backbones: each gives low-level features at strides 4 and 8 and one at the output stride.

A family is one file with its table of variants; a variant is one row, whose name stands in
`easyseg.families` too, so that a config can be checked without loading Keras. Other packages add
rows through the entry-point group `easyseg.backbones`.
"""

from __future__ import annotations

from easyseg.models.backbones.table import BACKBONES, Features

__all__ = ["BACKBONES", "Features"]
