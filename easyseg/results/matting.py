"""Alpha matting: the opacity of the classes kept in each pixel, and their color without background.

An image is `alpha * foreground + (1 - alpha) * background`. The network's probabilities are coarse;
the guided filter aligns their boundaries with edges of the image:

- K. He, J. Sun, X. Tang, "Guided Image Filtering", TPAMI 2013, section 3.4 (color guide);
- K. He, J. Sun, "Fast Guided Filter", https://arxiv.org/abs/1505.00996 (small filter, large guide);
- M. Forte, "Approximate Fast Foreground Color Estimation", ICIP 2021 (`foreground`).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from easyseg.results.logit_grid import LogitGrid

SIDE = 256  # longest side of the small copy on which the filter's coefficients are computed
RADIUS = 5  # of its window, in pixels of that copy
EPSILON = 1e-4  # its smoothness, in squared intensities of 0 to 1
SURE = 0.7  # a region without any probability this high is a speck (or a hole), not an object


def alpha_of(
    image: np.ndarray, labels: np.ndarray, grid: LogitGrid | None, ids: Sequence[int]
) -> np.ndarray:
    """The opacity of the classes in each pixel.

    The best class that is kept competes with the best that is not, so that 0.5 is where the labels
    change, even if many classes have similar probabilities.

    Args:
        image: `(H, W, 3) uint8 RGB`.
        labels: `(H, W)` ids.
        grid: The logits; without them the mask of the labels is returned.
        ids: The classes.

    Returns:
        `(H, W) float32`, 0 to 1.
    """
    if grid is None:
        return np.isin(labels, ids).astype(np.float32)
    kept = np.isin(np.arange(grid.logits.shape[-1]), ids)
    if kept.all() or not kept.any():
        return np.full(labels.shape, kept.all(), np.float32)
    height, width = _small_size(image)
    rivals = LogitGrid(
        np.stack([grid.logits[..., ~kept].max(-1), grid.logits[..., kept].max(-1)], -1),
        _sampled(grid.rows, height),
        _sampled(grid.cols, width),
    )
    return soft_alpha(image, rivals.probability([1]))


def soft_alpha(image: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Opacity of the pixels, with its boundary aligned with edges of the image.

    Args:
        image: `(H, W, 3) uint8 RGB`.
        probability: `(h, w) float32`, 0 to 1, that a pixel is kept. The filter's coefficients are
            computed at this size.

    Returns:
        `(H, W) float32`, 0 to 1; exactly 0 and 1 away from boundaries.
    """
    height, width = probability.shape
    guide = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) / 255
    guided_filter = _GuidedFilter(guide)
    alpha = _ramp(_without_specks(probability.astype(np.float64)), 0.25, 0.75)
    alpha = _ramp(
        _apply(guided_filter(alpha), guide), 0.42, 0.58
    )  # moves the boundary to the edge of the image
    return _upsampled(guided_filter(alpha), image)


def cut_out(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The foreground on a transparent background, whose hidden colors are 0.

    Args:
        image: `(H, W, 3) uint8 RGB`.
        alpha: `(H, W) float32`, 0 to 1.

    Returns:
        `(H, W, 4) uint8 RGBA`, not premultiplied.
    """
    colors = cv2.copyTo(image, (alpha == 1).astype(np.uint8))
    soft = (alpha > 0) & (alpha < 1)
    colors[soft] = np.rint(foreground(image, alpha, soft))
    return np.dstack([colors, np.rint(alpha * 255).astype(np.uint8)])


def composite(image: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The foreground of the image in front of another background.

    Args:
        image: `(H, W, 3) uint8 RGB`.
        alpha: `(H, W) float32`, 0 to 1.
        background: `(H, W, 3) uint8 RGB`.

    Returns:
        `(H, W, 3) uint8 RGB`; the image's pixels where alpha is 1, the background's where it is 0.
    """
    result = cv2.copyTo(image, (alpha == 1).astype(np.uint8), background.copy())
    soft = (alpha > 0) & (alpha < 1)
    fraction = alpha[soft][:, None]
    result[soft] = np.rint(
        fraction * foreground(image, alpha, soft) + (1 - fraction) * background[soft]
    )
    return result


def foreground(image: np.ndarray, alpha: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Color of the foreground, without the background that mixes in at soft edges.

    Foreground and background are averaged around each pixel, and moved along the foreground so
    that they blend to the image's color again (Forte 2021, equations 4 to 6, one step).

    Args:
        image: `(H, W, 3) uint8 RGB`.
        alpha: `(H, W) float32`, 0 to 1.
        where: `(H, W) bool`, the n pixels to compute.

    Returns:
        `(n, 3) float32 RGB`, 0 to 255.
    """
    height, width = _small_size(image)
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    fraction = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)[..., None]
    front, back = (
        cv2.resize(_box(small * w) / (_box(w)[..., None] + 1e-6), alpha.shape[::-1])[where]
        for w in (fraction**4, (1 - fraction) ** 4)  # the purest pixels count most
    )
    fraction = alpha[where][:, None]
    return np.clip(
        front + fraction * (image[where] - fraction * front - (1 - fraction) * back), 0, 255
    )


class _GuidedFilter:
    """The filter's coefficients `(h, w, 4)` for a target `(h, w)`, in a guide `(h, w, 3)`."""

    def __init__(self, guide: np.ndarray) -> None:
        self.guide = guide
        self.mean = _box(guide)
        products = _outer(guide)
        covariance = _box(products.reshape(*guide.shape[:2], 9)).reshape(products.shape)
        self.inverse = np.linalg.inv(covariance - _outer(self.mean) + EPSILON * np.eye(3))

    def __call__(self, target: np.ndarray) -> np.ndarray:
        mean = _box(target)[..., None]
        covariance = _box(self.guide * target[..., None]) - self.mean * mean
        a = np.einsum("hwij,hwj->hwi", self.inverse, covariance)
        b = mean - (a * self.mean).sum(-1, keepdims=True)
        return _box(np.dstack([a, b]))


def _outer(vectors: np.ndarray) -> np.ndarray:
    return vectors[..., :, None] * vectors[..., None, :]


def _apply(coefficients: np.ndarray, guide: np.ndarray) -> np.ndarray:
    return (coefficients[..., :3] * guide).sum(-1) + coefficients[..., 3]


def _upsampled(coefficients: np.ndarray, image: np.ndarray) -> np.ndarray:
    """The filter's output at the image's size; one channel at a time, for the memory."""
    size = image.shape[1::-1]
    *slopes, offset = np.dsplit(coefficients.astype(np.float32), 4)
    alpha = cv2.resize(offset, size)
    for channel, slope in enumerate(slopes):
        alpha += cv2.resize(slope, size) * (image[..., channel] / np.float32(255))
    return _ramp(alpha, 0.3, 0.7)


def _without_specks(probability: np.ndarray) -> np.ndarray:
    """Regions above 0.5 that never reach `SURE` become 0.25; likewise such holes become 0.75."""
    for _ in range(2):
        count, parts = cv2.connectedComponents((probability > 0.5).astype(np.uint8), connectivity=4)
        solid = np.zeros(count, bool)
        solid[parts[probability >= min(SURE, probability.max())]] = True
        solid[0] = True  # what is below 0.5
        kept = np.where(solid[parts], probability, 0.25)
        probability = 1 - kept  # the second iteration treats holes
    return probability


def _small_size(image: np.ndarray) -> tuple[int, int]:
    height, width = image.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _sampled(positions: np.ndarray, count: int) -> np.ndarray:
    """The positions at the centers of `count` equal parts."""
    centers = (np.arange(count) + 0.5) * (len(positions) / count) - 0.5
    return np.interp(centers, np.arange(len(positions)), positions)


def _ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 up to `low`, 1 from `high`, linear between."""
    return np.clip((values - low) / (high - low), 0, 1)


def _box(values: np.ndarray) -> np.ndarray:
    """Mean over the window around each pixel."""
    side = (2 * RADIUS + 1, 2 * RADIUS + 1)
    return cv2.boxFilter(values, -1, side, borderType=cv2.BORDER_REFLECT)
