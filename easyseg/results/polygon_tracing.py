"""Outlines of masks along the edges of pixels, so that filling them gives the mask exactly.

Coordinates are corners of pixels: the pixel in row y and column x is the square from (x, y) to
(x + 1, y + 1). OpenCV's contours join pixel centers instead and lose half a pixel on every side.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from easyseg.errors import InputError


class Polygon(NamedTuple):
    """A connected region, and its holes.

    Attributes:
        exterior: `(n, 2) int32`, corners (x, y), the first not repeated at the end. The area by the
            shoelace formula is positive.
        holes: Rings of the same form, with negative areas.
    """

    exterior: np.ndarray
    holes: list[np.ndarray]


def check_tolerance(tolerance: float) -> None:
    """Raises InputError if it is not a distance in pixels."""
    if not isinstance(tolerance, (int, float)) or not 0 <= tolerance < math.inf:
        raise InputError(f"tolerance={tolerance!r} must be pixels: 0 (exact) or more.")


def trace(mask: np.ndarray, *, tolerance: float = 0.0) -> list[Polygon]:
    """The polygons that bound a mask.

    Pixels that share a side belong together, pixels that share only a corner do not. Rings may
    touch themselves or each other only at single points, as the OGC rules require.

    Args:
        mask: `(H, W) bool`.
        tolerance: Maximum error of the simplified outline in pixels (Douglas and Peucker 1973);
            rings that vanish are left out. 0 is exact.

    Returns:
        One polygon per region, in row-major order of their first pixels.

    Raises:
        InputError: `tolerance` is negative or not a number.
    """
    check_tolerance(tolerance)
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return []
    rings, regions, areas = _rings(mask[top : top + height, left : left + width])
    polygons: list[Polygon] = []
    for i in np.lexsort((areas < 0, regions)):  # each exterior before its holes
        ring = rings[i] + np.array([left, top], np.int32)
        if areas[i] > 0:
            polygons.append(Polygon(ring, []))
        else:
            polygons[-1].holes.append(ring)
    return [s for p in polygons if (s := _simplify(p, tolerance))] if tolerance else polygons


def _rings(mask: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """All rings `(n, 2)` of corners, the index of each ring's region, and signed areas.

    Along each row of corners, the first is joined with the second, the third with the fourth, and
    so on; the same along each column. That is ambiguous where four pixels meet
    as on a chessboard, see `_goes_up`.
    """
    y, x, doubled_at = _corners(mask)
    _, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    around = np.pad(labels, 1)
    upper_right, lower_right = around[y, x + 1], around[y + 1, x + 1]
    up = np.zeros(len(y), bool)
    up[doubled_at] = _goes_up(around[y, x], upper_right, around[y + 1, x], lower_right)[doubled_at]
    up[doubled_at + 1] = ~up[doubled_at]

    down_first = np.argsort((x * (len(mask) + 1) + y) * 2 + ~up)
    above_below = np.empty_like(down_first)  # the corner at the other end of the vertical edge
    above_below[down_first] = down_first.reshape(-1, 2)[:, ::-1].ravel()

    # horizontal edge i is between corners 2 i and 2 i + 1; with the region below, it goes right
    below = lower_right[::2] > 0
    start = 2 * np.arange(len(below)) + ~below
    end = start ^ 1
    order, first = _cycles(above_below[end] >> 1)
    corners = np.stack([start, end], 1)[order].ravel()
    points = np.stack([x[corners], y[corners]], 1).astype(np.int32)
    leaders = order[first]
    regions = np.where(below, lower_right[::2], upper_right[::2])[leaders]
    areas = -np.add.reduceat((y[end] * (x[end] - x[start]))[order], first)
    return np.split(points, 2 * first[1:]), regions, areas


def _corners(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns of the outline's corners, row by row; middles of chessboards appear twice.

    The third array has the indices of the first of the two.
    """
    inside = np.pad(mask, 1)
    horizontal = inside[1:] != inside[:-1]
    vertical = inside[:, 1:] != inside[:, :-1]
    left, right = horizontal[:, :-1], horizontal[:, 1:]
    crossing = left & right & vertical[:-1]
    at = np.flatnonzero((left != right) | crossing)
    doubled = crossing.ravel()[at]
    y, x = np.divmod(np.repeat(at, 1 + doubled), crossing.shape[1])
    return y, x, np.flatnonzero(doubled) + np.arange(np.count_nonzero(doubled))


def _goes_up(
    upper_left: np.ndarray, upper_right: np.ndarray, lower_left: np.ndarray, lower_right: np.ndarray
) -> np.ndarray:
    """Whether the ring that comes from the left turns up where four pixels meet diagonally.

    Two regions are separated there. If both pixels belong to one region, the outside is separated
    instead, because otherwise the ring would touch itself.
    """
    same = (upper_left == lower_right) & (upper_right == lower_left)
    return (upper_left > 0) != same


def _cycles(following: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cycles of a permutation one after the other, and the index at which each begins.

    By pointer jumping (Wyllie 1979), in log2 of the longest cycle's length steps.
    """
    least, jump = np.arange(len(following)), following
    while True:
        smaller = np.minimum(least, least[jump])
        if np.array_equal(smaller, least):
            break
        least, jump = smaller, jump[jump]
    leader = least == np.arange(len(least))
    distance = (~leader).astype(np.intp)  # steps to the smallest member of the cycle
    jump = np.where(leader, least, following)
    while not np.array_equal(jump, least):
        distance, jump = distance + distance[jump], jump[jump]
    length = np.bincount(least)
    first = np.cumsum(length) - length
    order = np.empty_like(least)
    order[first[least] + -distance % length[least]] = np.arange(len(least))
    return order, first[leader[: len(length)].nonzero()]


def _simplify(polygon: Polygon, tolerance: float) -> Polygon | None:
    exterior, *holes = (
        cv2.approxPolyDP(ring, tolerance, closed=True)[:, 0]
        for ring in (polygon.exterior, *polygon.holes)
    )
    if cv2.contourArea(exterior, oriented=True) <= 0:
        return None
    return Polygon(exterior, [h for h in holes if cv2.contourArea(h, oriented=True) < 0])
