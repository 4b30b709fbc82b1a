"""How much of a gray mask is neither black nor white, and whether that is soft edges."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import cv2
import numpy as np

NEAR = 32  # gray levels from black or white within which a pixel of a lossy mask counts as that
LIGHT = 96  # gray level from which a dark pixel beside it can be a soft edge
NOISE = 2  # gray levels by which lossy compression changes even areas
MANY = 32  # values; masks of ids seldom have more, lossy and blurred ones always
EVEN = 3  # gray values from which those of thin, shrunk objects are told from ids by their shapes
SHARP_RADIUS = 2  # pixels from an edge that shrinking and smoothing reach
LOSSY_RADIUS = 8  # pixels from an edge that JPEG's blocks reach, and a blur in small masks
EXACT = 4.0  # distance of a mixed color from the line between two others
MAX_MIXED = 4096  # colors; photographs have more
MAX_MIDDLE = 0.2  # fraction of a mask that may be gray by blur; photographs have more


class Grays(NamedTuple):
    """Pixels of a mask by what their gray can be.

    Attributes:
        pixels: All.
        gray: Neither 0 nor 255.
        middle: Neither near black nor near white.
        ids: Gray pixels that no soft edge explains, in a mask that was saved without loss.
        lossy_ids: The same in a mask that was compressed with loss, or blurred.
    """

    pixels: int
    gray: int
    middle: int
    ids: int
    lossy_ids: int


def is_mostly_gray(values: np.ndarray) -> bool:
    """Whether so much of a mask is gray that it is not black and white in any way."""
    return values.size > 64 and middle_fraction(values) > MAX_MIDDLE


def middle_fraction(values: np.ndarray) -> float:
    """The fraction of pixels that are neither near black nor near white."""
    return float(_is_middle(values).mean()) if values.size else 0.0


def _is_middle(values: np.ndarray) -> np.ndarray:
    return (values >= NEAR) & (values < 256 - NEAR)


def count_grays(values: np.ndarray) -> Grays:
    """Counts the pixels of a mask, `(H, W) uint8`."""
    gray = (values != 0) & (values != 255)
    if not gray.any():
        return Grays(values.size, 0, 0, 0, 0)
    if values.max() < LIGHT:  # nothing that a soft edge could lead to
        ids = int(np.count_nonzero(gray))
        return Grays(values.size, ids, int(np.count_nonzero(_is_middle(values))), ids, ids)
    kinds = gray, _is_middle(values), _ids(values, gray), _lossy_ids(values)
    return Grays(values.size, *(int(np.count_nonzero(kind)) for kind in kinds))


def _ids(values: np.ndarray, gray: np.ndarray) -> np.ndarray:
    """Gray pixels without black and white near; of many grays, those in even areas."""
    darkest, lightest = _extremes(values, SHARP_RADIUS)
    alone = gray & ~((darkest == 0) & (lightest == 255))
    if np.count_nonzero(np.bincount(values[gray])) < EVEN:
        return alone
    darkest, lightest = _extremes(values, 1)
    return alone & (darkest == lightest)


def _lossy_ids(values: np.ndarray) -> np.ndarray:
    """Grays without a light pixel near, if they are dark, or a dark one, if they are light."""
    darkest, lightest = _extremes(values, max(LOSSY_RADIUS, max(values.shape) // 32))
    gray = (values > NOISE) & (values < 255 - NOISE)
    dark = (values < NEAR) & (lightest < LIGHT)
    middle = _is_middle(values) & (lightest < 255 - LIGHT)
    light = (values >= NEAR) & (darkest > 255 - LIGHT)
    return gray & (dark | middle | light)


def _extremes(values: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """The darkest and the lightest pixel within the radius of each, `(H, W) uint8` both."""
    around = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return cv2.erode(values, around), cv2.dilate(values, around)


def mixed_colors(colors: Collection[int], plain: Sequence[int]) -> dict[int, int]:
    """Which of the packed colors lie between two plain ones, as smoothing leaves them.

    Returns:
        For each the nearer of the two.
    """
    if not colors or len(colors) > MAX_MIXED or not 2 <= len(plain) <= MANY:
        return {}
    packed = sorted(colors)
    mixed, corners = _rgb(packed), _rgb(plain)
    first, second = np.triu_indices(len(plain), 1)
    along = corners[second] - corners[first]  # (pairs, 3)
    edges = {}
    for color, rgb in zip(packed, mixed, strict=True):
        offset = rgb - corners
        t = (offset[first] * along).sum(1) / (along**2).sum(1)
        off_line = np.linalg.norm(offset[first] - t[:, None] * along, axis=1)
        between = (t > 0) & (t < 1) & (off_line <= EXACT)
        ends = np.union1d(first[between], second[between])
        if len(ends):
            edges[color] = plain[ends[np.linalg.norm(offset[ends], axis=1).argmin()]]
    return edges


def _rgb(packed: Sequence[int]) -> np.ndarray:
    """`(colors, 3) float64`."""
    values = np.array(packed)
    return np.stack([values >> 16, values >> 8 & 255, values & 255], 1).astype(np.float64)
