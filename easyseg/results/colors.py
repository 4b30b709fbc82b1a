"""Colors as users write them: names, "#ff8800", (red, green, blue)."""

from __future__ import annotations

from typing import Any

import numpy as np

from easyseg.errors import InputError
from easyseg.utils.registry import nearest


def read_color(value: Any, argument: str) -> tuple[int, int, int]:
    """The red, green and blue of a color, 0 to 255 each.

    Args:
        value: `(red, green, blue)`, or a name or notation that Pillow's `ImageColor` knows.
        argument: How the message names it, such as `color='red'`.

    Raises:
        InputError: It is none; suggests the nearest name.
    """
    from PIL import ImageColor  # noqa: PLC0415

    close: list[str] = []
    channels: Any = value if isinstance(value, (list, tuple, np.ndarray)) else ()
    if isinstance(value, str):
        try:
            channels = ImageColor.getrgb(value)[:3]
        except ValueError:
            close = nearest(value, ImageColor.colormap)
    whole = all(isinstance(c, (int, np.integer)) and 0 <= c <= 255 for c in channels)
    if len(channels) == 3 and whole:
        red, green, blue = map(int, channels)
        return red, green, blue
    hint = (
        f"Did you mean {' or '.join(map(repr, close))}?"
        if close
        else "Give (red, green, blue) from 0 to 255, a name such as 'white', or '#00ff00'."
    )
    raise InputError(f"Expected a color, got {argument}. {hint}")
