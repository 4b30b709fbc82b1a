"""RGB images of 16 bits, of which Pillow keeps the high bytes: values of 12 bits would be black."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from easyseg.io.boxes import boxes
from easyseg.io.open_image import check_size, open_image

if TYPE_CHECKING:
    from PIL import Image, ImageFile

FULL_SCALES = [2**bits - 1 for bits in (8, 10, 12, 14, 16)]  # of sensors, in files of 16 bits
COST = 2  # times the memory, for both bytes of each value
DARK = 2**14 >> 8  # high bytes of values of up to 14 bits
MODES = ("RGB", "RGBA")
NATIVE = "L" if sys.byteorder == "little" else "B"


def full_range(image: ImageFile.ImageFile, file: Path | IO[bytes], name: str, limit: int) -> None:
    """Where its values have 16 bits but need up to 14, the image is loaded and scaled to 255.

    `image` is the opened file, not yet decoded. The file is opened again for the low bytes.
    """
    tiles = getattr(image, "tile", [])
    if image.mode not in MODES or not any(";16" in _raw_mode(tile) for tile in tiles):
        return
    image.load()
    extrema: Any = image.getextrema()
    if max(high for _, high in extrema[:3]) >= DARK:
        return
    check_size(*image.size, name, limit, cost=COST)
    with open_image(file, name, max_pixels=limit) as low:
        low.tile = [_of_low_bytes(tile) for tile in low.tile]
        low.load()
    _scale(image, low)


def byte_range(low: float, high: float, *, floating: bool) -> tuple[float, float]:
    """Offset and factor by which values of any type become levels from 0 to 255.

    Nothing says which range they have. It is from 0 to 1 (of floats), or to the largest number of
    8, 10, 12, 14 or 16 bits that holds all values, or from the lowest to the highest value.
    """
    full = next((each for each in FULL_SCALES if high <= each), None)
    if floating and high <= 1:
        full = 1
    if low < 0 or full is None:
        return low, 255 / max(high - low, 1e-12)
    return 0.0, 255 / full


def _raw_mode(tile: Any) -> str:
    args = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
    return str(args[0]) if args else ""


def _of_low_bytes(tile: Any) -> Any:
    """The tile with the other order of bytes, so that Pillow keeps the low ones as the high."""
    mode = _raw_mode(tile)
    swapped = mode[:-1] + ("B" if mode[-1].replace("N", NATIVE) == "L" else "L")
    args = (swapped, *tile[3][1:]) if isinstance(tile[3], tuple) else swapped
    return tile._replace(args=args)


def _scale(image: Image.Image, low: Image.Image) -> None:
    """Puts levels from 0 to 255 in the place of the values; boxes take little memory."""
    from PIL import Image  # noqa: PLC0415

    top = max(int(values.max()) for _, values in _values(image, low))
    full = next(each for each in FULL_SCALES if top <= each)
    table = np.rint(np.arange(full + 1) * (255 / full)).astype(np.uint8)
    for box, values in _values(image, low):
        part = Image.fromarray(table[values])
        if image.mode == "RGBA":
            part.putalpha(image.crop(box).getchannel("A"))
        image.paste(part, box)


def _values(
    image: Image.Image, low: Image.Image
) -> Iterator[tuple[tuple[int, int, int, int], np.ndarray]]:
    """Boxes, and their values `(h, w, 3) uint16`."""
    for box in boxes(*image.size):
        high, less = (np.asarray(each.crop(box))[..., :3] for each in (image, low))
        yield box, high.astype(np.uint16) << 8 | less
