"""Whether masks lie on their images: edges of the one against edges of the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

__all__ = ["Evidence", "edge_evidence", "misplaced"]

SIDE = 256  # longest side at which edges are compared, in pixels
REACH = 16  # shifts that are tried, in pixels of this size
TOLERANCE = 2  # a shift up to here is how people draw
SURE = 5.0  # standard errors by which another place must be better
MOST = 0.8  # share of the samples for which it must be better
FEWEST = 8  # samples without which nothing is said


class Evidence(NamedTuple):
    """How well the mask's edges meet the image's.

    Attributes:
        shifts: `(2 REACH + 1, 2 REACH + 1) float32`, mean strength of the image's edges under
            those of the mask, for each shift down (rows) and right (columns), in standard
            deviations of the image's edges; the middle is the mask as it is.
        mirrored: The same for the mask as seen in a mirror, without a shift.
        scale: Pixels of the image in a pixel of the shifts.
    """

    shifts: np.ndarray
    mirrored: float
    scale: float


def edge_evidence(image: np.ndarray, truth: np.ndarray) -> Evidence | None:
    """Compares the edges at all shifts, by correlation; `None` of masks without edges.

    Args:
        image: `(H, W, 3) uint8 RGB`.
        truth: `(H, W) uint8`.
    """
    scale = max(1.0, max(truth.shape) / SIDE)
    size = (round(truth.shape[1] / scale), round(truth.shape[0] / scale))
    gray = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(truth, size, interpolation=cv2.INTER_NEAREST_EXACT)
    gx, gy = cv2.spatialGradient(cv2.GaussianBlur(gray, (3, 3), 0))
    strength = cv2.magnitude(gx.astype(np.float32), gy.astype(np.float32))
    deviation = float(strength.std())
    inner = np.zeros_like(mask)
    inner[REACH:-REACH, REACH:-REACH] = 1  # edges that stay in the image at all shifts
    edges = (cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0) & (
        inner > 0
    )
    count = np.count_nonzero(edges)
    if count < SIDE // 4 or deviation == 0:
        return None
    strength = (strength - strength.mean()) / deviation
    template = edges[REACH:-REACH, REACH:-REACH].astype(np.float32)
    shifts = cv2.matchTemplate(strength, template, cv2.TM_CCORR) / count
    mirrored = float(strength[edges[:, ::-1]].mean())
    return Evidence(shifts, mirrored, scale)


def misplaced(found: Sequence[Evidence]) -> str:
    """What is wrong with the places of the masks of a data set; "" if the evidence is weak.

    The best shift of all samples together counts if it is further than two pixels at 256 pixels,
    better by five standard errors, and better for four fifths of the samples.
    """
    if len(found) < FEWEST:
        return ""
    shifts = np.stack([e.shifts for e in found])
    here = shifts[:, REACH, REACH]
    if _better(np.array([e.mirrored for e in found]) - here):
        return "masks seem to be mirrored: their edges meet those of the images when they are"
    total = shifts.mean(axis=0)
    down, right = np.unravel_index(int(total.argmax()), total.shape)
    dy, dx = int(down) - REACH, int(right) - REACH
    if max(abs(dy), abs(dx)) <= TOLERANCE or not _better(shifts[:, down, right] - here):
        return ""
    scale = float(np.median([e.scale for e in found]))
    return (
        f"masks seem to be shifted: their edges meet those of the images when they are moved by "
        f"{dx * scale:+.0f} pixels to the right and {dy * scale:+.0f} down"
    )


def _better(gains: np.ndarray) -> bool:
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return bool(gains.mean() > SURE * error and (gains > 0).mean() >= MOST)
