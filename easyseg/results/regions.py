"""Connected regions of masks. Pixels that share a side belong together, as in `polygon_tracing`."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from easyseg.errors import InputError
from easyseg.utils.validation import is_count


class Region(NamedTuple):
    """A region within its box.

    Attributes:
        box: Left, top, right and bottom in pixels; right and bottom are the first outside.
        mask: `(bottom - top, right - left) bool`, the region within its box.
    """

    box: tuple[int, int, int, int]
    mask: np.ndarray


def check_min_area(min_area: int) -> None:
    """Raises InputError if it is not a number of pixels."""
    if not (is_count(min_area) or min_area == 0):
        raise InputError(f"min_area={min_area!r} must be a whole number of pixels, 0 or more.")


def whole_region(mask: np.ndarray) -> Region:
    """All of a mask `(H, W) bool` that is not empty, connected or not."""
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    box = left, top, left + width, top + height
    return Region(box, mask[top : top + height, left : left + width])


def find_regions(mask: np.ndarray) -> list[Region]:
    """The regions of a mask `(H, W) bool`, the largest first."""
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask).view(np.uint8), connectivity=4, ltype=cv2.CV_32S
    )
    return [
        Region(
            (left, top, left + width, top + height),
            numbers[top : top + height, left : left + width] == i,
        )
        for i in sorted(range(1, count), key=lambda i: -stats[i, cv2.CC_STAT_AREA])
        for left, top, width, height in [stats[i, :4].tolist()]
    ]


def without_specks(mask: np.ndarray, min_area: int) -> np.ndarray:
    """The mask without regions, and without holes, of fewer than `min_area` pixels.

    Args:
        mask: `(H, W) bool`.
        min_area: Pixels.
    """
    if min_area < 2:
        return mask
    numbers, keep = _number(mask, min_area, connectivity=4)
    keep[0] = False
    around = ~np.pad(keep[numbers], 1)  # the frame joins all outside that is no hole
    numbers, keep = _number(around, min_area, connectivity=8)
    keep[numbers[0, 0]], keep[0] = True, False
    return ~keep[numbers][1:-1, 1:-1]


def _number(mask: np.ndarray, min_area: int, connectivity: int) -> tuple[np.ndarray, np.ndarray]:
    """`(H, W) int32`, the numbers of the regions from 1; and which of them are large enough."""
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask).view(np.uint8), connectivity=connectivity, ltype=cv2.CV_32S
    )
    return numbers, stats[:, cv2.CC_STAT_AREA] >= min_area
