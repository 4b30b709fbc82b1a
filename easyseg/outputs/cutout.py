"""Cut-out: what was found, with a soft edge, on a transparent ground."""

from __future__ import annotations

from typing import Any

import numpy as np

from easyseg.outputs.table import OUTPUTS, Output, Segmented

__all__ = ["draw_cutout"]

SOFT = (0.25, 0.75)  # probabilities between which the edge fades


def draw_cutout(result: Segmented, alpha: float = 1.0) -> Any:  # noqa: ARG001
    """A `PIL.Image.Image` of mode "RGBA": opaque where the classes found are probable."""
    from PIL import Image  # noqa: PLC0415

    found = [int(i) for i in np.unique(result.labels) if i != result.label_set.void]
    low, high = SOFT
    opaque = np.clip((result.probability(found) - low) / (high - low), 0, 1)
    return Image.fromarray(np.dstack([result.image, np.rint(opaque * 255).astype(np.uint8)]))


OUTPUTS.register("cutout")(Output(draw_cutout, suffixes=(".png", ".webp", ".tif", ".tiff")))
