"""A legend in the image's lower left corner: color, name and ratio of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from easyseg.results.outputs.base import LegendEntry


def draw_legend(image: np.ndarray, entries: Sequence[LegendEntry]) -> np.ndarray:
    """Draws the entries over the lower left corner, as many as fit.

    Args:
        image: `(H, W, 3) uint8 RGB`.
        entries: `(text, RGB color)`, the most important first.

    Returns:
        A new image of the same size; the image itself if it is too small for text.
    """
    from PIL import Image, ImageDraw  # noqa: PLC0415

    height, width = image.shape[:2]
    size = max(10, round(min(height, width) / 28))
    line = round(size * 1.35)
    entries = entries[: (height - size) // line]
    if not entries or width < 6 * size:
        return image
    font = _font(size)
    box_width = 3 * size + round(max(font.getlength(text) for text, _ in entries))
    top = height - len(entries) * line - size // 2
    drawn = Image.fromarray(image)
    draw = ImageDraw.Draw(drawn, "RGBA")
    draw.rectangle((0, top - size // 2, min(width, box_width), height), fill=(0, 0, 0, 150))
    for i, (text, color) in enumerate(entries):
        y = top + i * line
        draw.rectangle((size // 2, y, size // 2 + size, y + size), fill=color, outline="white")
        draw.text((2 * size, y - size // 8), text, fill="white", font=font)
    return np.array(drawn)


def _font(size: int) -> Any:
    from PIL import ImageFont  # noqa: PLC0415

    return ImageFont.load_default(size)
