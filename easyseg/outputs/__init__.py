"""What can be made of a segmentation: one file per kind, each a row of the table."""

from __future__ import annotations

from easyseg.outputs import colour, cutout, mask, overlay
from easyseg.outputs.table import OUTPUTS, Output, Segmented

__all__ = ["OUTPUTS", "Output", "Segmented", "colour", "cutout", "mask", "overlay"]
