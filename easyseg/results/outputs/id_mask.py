"""Id mask: a palette PNG whose pixel values are the class ids."""

from __future__ import annotations

from typing import Any

import numpy as np

from easyseg.results.outputs.base import OUTPUTS, Output, Segmented


def draw_mask(result: Segmented, alpha: float = 1.0) -> Any:  # noqa: ARG001
    """A `PIL.Image.Image` of mode "P" (16-bit gray above 256 classes): ids with colors."""
    from PIL import Image  # noqa: PLC0415

    image = Image.fromarray(result.labels)
    if result.labels.dtype == np.uint8:
        image.putpalette(result.label_set.colors[:256].tobytes())
    return image


OUTPUTS.register("mask")(Output(draw_mask, suffixes=(".png", ".tif", ".tiff")))
