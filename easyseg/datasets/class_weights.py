"""Weights of the classes in the loss, by how rare they are."""

from __future__ import annotations

import numpy as np

WEIGHT_RANGE = (0.1, 10.0)  # a class of a few pixels must not outweigh all others


def median_frequency_weights(pixels: np.ndarray) -> tuple[float, ...]:
    """Median frequency balancing: `median(frequency) / frequency`, from 0.1 to 10.

    The frequency of a class is its fraction of the pixels of those images that show it.

    Args:
        pixels: `(images, classes)`, pixels of each class in each image; or `(classes,)`, all
            images together, as if each showed every class.

    Returns:
        One weight per class; 1 for classes without a pixel.

    References:
        Eigen and Fergus, "Predicting Depth, Surface Normals and Semantic Labels with a Common
        Multi-Scale Convolutional Architecture", ICCV 2015, section 6.3.2,
        https://arxiv.org/abs/1411.4734.
    """
    pixels = np.atleast_2d(np.asarray(pixels, np.float64))
    in_images = ((pixels > 0) * pixels.sum(1, keepdims=True)).sum(0)
    present = in_images > 0
    weights = np.ones(pixels.shape[1])
    if present.any():
        frequency = pixels.sum(0)[present] / in_images[present]
        weights[present] = np.clip(np.median(frequency) / frequency, *WEIGHT_RANGE)
    return tuple(weights.tolist())
