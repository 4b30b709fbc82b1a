"""What all mask files of a data set together hold: values, colors, palettes and gray levels."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from easyseg.datasets.mask_files import (
    LINES,
    TINT,
    color_spread,
    count_values,
    flat_values,
    is_jpeg,
    pack,
    read_values,
)
from easyseg.datasets.soft_edges import MANY, NEAR, NOISE, Grays, count_grays, is_mostly_gray
from easyseg.errors import DatasetError, show_path
from easyseg.io.open_image import open_image

THREADS = 4
WHITES = range(248, 255)  # nearly 255; ids are seldom that large


@dataclasses.dataclass(frozen=True)
class MaskSummary:
    """One mask.

    Attributes:
        path: Its file.
        shades: Its gray levels; empty for colors.
        grays: Its pixels by what their gray can be; `None` for colors.
        is_rgb: Whether it is stored as RGB.
        is_jpeg: Whether it is a JPEG.
        is_mostly_gray: Whether too much of it is gray for a black and white mask.
    """

    path: Path
    shades: frozenset[int] = frozenset()
    grays: Grays | None = None
    is_rgb: bool = False
    is_jpeg: bool = False
    is_mostly_gray: bool = False

    @property
    def is_lossy(self) -> bool:
        """Whether its grays are as compression with loss or a blur leaves them."""
        return self.is_jpeg or len(self.shades) > MANY or len(self.shades.intersection(WHITES)) > 1

    @property
    def is_plain(self) -> bool:
        """Whether it is black and white without grays, up to a white that is not quite 255."""
        whites = self.shades - {0}
        return not whites or (min(whites) >= 256 - NEAR and max(whites) - min(whites) <= NOISE)

    @property
    def is_low(self) -> bool:
        """Whether it holds 1, and nothing but 0 and 1."""
        return self.shades <= {0, 1} and 1 in self.shades and not self.is_jpeg


@dataclasses.dataclass
class MaskStats:
    """All masks.

    Attributes:
        masks: Each mask.
        values: Pixels by value; of RGB, where the colors are gray.
        colors: Pixels by packed color.
        flat: Pixels by packed color in areas of 2x2 pixels or more.
        palette: Packed colors by palette index, of those that occur.
        palettes_differ: Whether an index has two colors.
        colored: Masks in RGB that are not gray.
    """

    masks: list[MaskSummary] = dataclasses.field(default_factory=list)
    values: Counter[int] = dataclasses.field(default_factory=Counter)
    colors: Counter[int] = dataclasses.field(default_factory=Counter)
    flat: Counter[int] = dataclasses.field(default_factory=Counter)
    palette: dict[int, int] = dataclasses.field(default_factory=dict)
    palettes_differ: bool = False
    colored: int = 0

    @property
    def mostly_rgb(self) -> bool:
        """Whether half of the masks or more are stored as RGB."""
        return 2 * sum(mask.is_rgb for mask in self.masks) >= len(self.masks)

    def is_area(self, color: int) -> bool:
        """Whether a packed color has areas, and is not only one of edges and thin lines."""
        return self.flat[color] > LINES * self.colors[color]

    def add(self, other: MaskStats) -> None:
        """Adds other masks."""
        self.masks += other.masks
        self.values.update(other.values)
        self.colors.update(other.colors)
        self.flat.update(other.flat)
        self.palettes_differ |= any(self.palette.get(v, c) != c for v, c in other.palette.items())
        self.palette.update(other.palette)
        self.colored += other.colored


def read_masks(paths: Sequence[Path], *, max_pixels: int | None = None) -> MaskStats:
    """Reads the masks; those that cannot be read are left to the check, if there are others.

    Raises:
        DatasetError: No mask can be read.
    """
    total, first_error = MaskStats(), None
    with ThreadPoolExecutor(THREADS) as pool:
        for result in pool.map(functools.partial(_read, max_pixels=max_pixels), paths):
            if isinstance(result, DatasetError):
                first_error = first_error or result
            else:
                total.add(result)
    if not total.masks:
        raise first_error or DatasetError("there are no masks; add them beside the images.")
    return total


def _read(path: Path, *, max_pixels: int | None) -> MaskStats | DatasetError:
    try:
        values = read_values(path, max_pixels=max_pixels)
        if values.ndim == 3:
            return _of_colors(path, values)
        return _of_values(path, values, _palette(path, max_pixels))
    except DatasetError as error:
        return error


def _of_colors(path: Path, rgb: np.ndarray) -> MaskStats:
    packed, spread = pack(rgb), int(color_spread(rgb).max(initial=0))
    colors = count_values(packed)
    return MaskStats(
        [_summary(path, rgb[..., 1] if spread <= TINT else None, is_rgb=True)],
        Counter({} if spread else {c & 255: n for c, n in colors.items()}),
        Counter(colors),
        Counter(flat_values(packed)),
        colored=int(spread > 0),
    )


def _of_values(path: Path, values: np.ndarray, palette: dict[int, int]) -> MaskStats:
    counts = count_values(values)
    palette = {v: palette[v] for v in counts if v in palette}
    color = {v: palette.get(v, v * 0x10101) for v in counts}
    colors, flat = Counter[int](), Counter[int]()
    for total, pixels in ((colors, counts), (flat, flat_values(values))):
        for v, n in pixels.items():
            total[color[v]] += n
    is_gray = all(is_gray_color(c) for c in palette.values())
    table = np.array([color.get(v, 0) & 255 for v in range(256)], np.uint8)
    gray = (table[values] if palette else values) if is_gray else None
    return MaskStats([_summary(path, gray)], Counter(counts), colors, flat, palette)


def _summary(path: Path, gray: np.ndarray | None, *, is_rgb: bool = False) -> MaskSummary:
    if gray is None:
        return MaskSummary(path, is_rgb=is_rgb, is_jpeg=is_jpeg(path))
    shades = frozenset(count_values(gray))
    if max(shades, default=0) > 255:  # ids of 16 bits
        return MaskSummary(path, shades, Grays(gray.size, gray.size, 0, gray.size, gray.size))
    gray = np.ascontiguousarray(gray, np.uint8)
    return MaskSummary(path, shades, count_grays(gray), is_rgb, is_jpeg(path), is_mostly_gray(gray))


def is_gray_color(packed: int) -> bool:
    """Whether red, green and blue are equal."""
    return packed == (packed & 255) * 0x10101


def _palette(path: Path, max_pixels: int | None) -> dict[int, int]:
    """Packed colors by palette index; empty for images without a palette."""
    with open_image(path, show_path(path), max_pixels=max_pixels) as image:
        entries = image.getpalette("RGB") if image.mode == "P" else None
    colors = zip(*[iter(entries or [])] * 3, strict=False)
    return {i: r << 16 | g << 8 | b for i, (r, g, b) in enumerate(colors)}
