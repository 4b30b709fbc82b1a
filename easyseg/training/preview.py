"""A sheet of what training shows the network: augmented crops, their truth laid over them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from easyseg.datasets.base import IGNORE, Sample
from easyseg.errors import InputError
from easyseg.io.write_image import write_image
from easyseg.results.label_set import LabelSet
from easyseg.training.augmentation import Augmenter

__all__ = ["preview"]

CELL = 320  # pixels, the longer side
GAP = 4
STRENGTH = 0.5
STRIPE = 8  # pixels; the truth does not count there


def preview(
    samples: Sequence[Sample],
    augmenter: Augmenter,
    path: str | os.PathLike[str],
    *,
    label_set: LabelSet,
    columns: int = 5,
    seed: int = 0,
) -> Path:
    """Writes a sheet: a row of crops for each sample, tinted with the truth's colors.

    White stripes are where the truth does not count, padding and cut-outs included.

    Args:
        samples: One per row; some four make a sheet that can be looked at.
        augmenter: Makes the crops.
        path: Where to; the ending says the format.
        label_set: ColorSpace of the classes.
        columns: Crops of each sample.
        seed: Of the augmentation.

    Returns:
        The path.

    Raises:
        ImageError, DatasetError: A sample cannot be read.
        OutputError: The sheet cannot be written; nothing is left.
    """
    if not samples or columns < 1:
        raise InputError("a preview needs a sample and a column at least; give some samples.")
    rows = []
    for row, sample in enumerate(samples):
        image = sample.read_image()
        truth = sample.read_mask((image.shape[0], image.shape[1]))
        crops = (
            augmenter(image, truth, np.random.default_rng((seed, row, column)))
            for column in range(columns)
        )
        rows.append(np.hstack([_cell(*crop, label_set) for crop in crops]))
    return write_image(path, np.vstack(rows))


def _cell(image: np.ndarray, truth: np.ndarray, label_set: LabelSet) -> np.ndarray:
    """`(h, w, 3) uint8 RGB` with a white edge at the right and below."""
    scale = min(1.0, CELL / max(truth.shape))
    size = (max(1, round(truth.shape[1] * scale)), max(1, round(truth.shape[0] * scale)))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    truth = cv2.resize(truth, size, interpolation=cv2.INTER_NEAREST_EXACT)
    mixed = cv2.addWeighted(label_set.colors[truth], STRENGTH, image, 1 - STRENGTH, 0)
    y, x = np.indices(truth.shape)
    striped = (truth == IGNORE) & ((x + y) % STRIPE < 2)
    mixed = np.where((truth == IGNORE)[..., None], image, mixed)
    mixed[striped] = 255
    return cv2.copyMakeBorder(mixed, 0, GAP, 0, GAP, cv2.BORDER_CONSTANT, value=(255,) * 3)
