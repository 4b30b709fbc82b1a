"""Cutout: the predicted classes with a soft edge on a transparent background."""

from __future__ import annotations

from typing import Any

from easyseg.results.matting import alpha_of, cut_out
from easyseg.results.outputs.base import OUTPUTS, Output, Segmented, predicted_classes


def draw_cutout(result: Segmented, alpha: float = 1.0) -> Any:  # noqa: ARG001
    """A `PIL.Image.Image` of mode "RGBA": opaque where a class was predicted."""
    from PIL import Image  # noqa: PLC0415

    opaque = alpha_of(result.image, result.labels, result.grid, predicted_classes(result))
    return Image.fromarray(cut_out(result.image, opaque))


OUTPUTS.register("cutout")(Output(draw_cutout, suffixes=(".png", ".webp", ".tif", ".tiff")))
