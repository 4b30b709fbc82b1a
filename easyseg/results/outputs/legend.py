"""A legend in the image's corner: color, name and share of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from easyseg.results.outputs.base import Segmented

__all__ = ["Row", "class_rows", "draw_legend"]

Row = tuple[str, tuple[int, int, int]]
SMALLEST = 0.1  # percent of the image from which a class is named


def class_rows(result: Segmented) -> list[Row]:
    """Name, share and color of the classes found, the largest area first."""
    label_set = result.label_set
    return [
        (f"{label_set.name_of(i)} {ratio:.1f} %", tuple(label_set.colors[i].tolist()))
        for i, ratio in zip(result.class_ids, result.ratios, strict=True)
        if i != label_set.void and ratio >= SMALLEST
    ]


def draw_legend(image: np.ndarray, rows: Sequence[Row]) -> np.ndarray:
    """Draws `(text, RGB color)` rows over the lower left corner, as many as fit.

    Args:
        image: `(H, W, 3) uint8 RGB`.
        rows: Most important first.

    Returns:
        A new image of the same size. An image too small for text comes back as it was.
    """
    from PIL import Image, ImageDraw  # noqa: PLC0415

    height, width = image.shape[:2]
    size = max(10, round(min(height, width) / 28))
    line = round(size * 1.35)
    rows = rows[: (height - size) // line]
    if not rows or width < 6 * size:
        return image
    font = _font(size)
    box_width = 3 * size + round(max(font.getlength(text) for text, _ in rows))
    top = height - len(rows) * line - size // 2
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas, "RGBA")
    draw.rectangle((0, top - size // 2, min(width, box_width), height), fill=(0, 0, 0, 150))
    for i, (text, color) in enumerate(rows):
        y = top + i * line
        draw.rectangle((size // 2, y, size // 2 + size, y + size), fill=color, outline="white")
        draw.text((2 * size, y - size // 8), text, fill="white", font=font)
    return np.array(canvas)


def _font(size: int) -> Any:
    from PIL import ImageFont  # noqa: PLC0415

    return ImageFont.load_default(size)
