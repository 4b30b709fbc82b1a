"""Images and truths for training: read once, at the size at which the network sees images."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import cv2
import numpy as np

from easyseg.datasets.base import Sample
from easyseg.inference.preprocess import letterboxed_size

__all__ = ["SampleCache"]


class SampleCache:
    """Images with their truths, scaled to the canvas as inference scales them.

    Those that fit in memory are decoded once. Threads may share it.

    Args:
        samples: Where they come from.
        canvas: `(height, width)`, the network's `input_size`.
        memory: Bytes of decoded images and truths that are kept.
    """

    def __init__(self, samples: Sequence[Sample], *, canvas: tuple[int, int], memory: int) -> None:
        self.samples = samples
        self._canvas = canvas
        self._room = memory
        self._kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """`(h, w, 3) uint8 RGB` and `(h, w)` class ids, not to be written to.

        Raises:
            ImageError: The image cannot be read.
            DatasetError: The truth cannot be read.
        """
        if index in self._kept:
            return self._kept[index]
        image, truth = read_pair(self.samples[index], self._canvas)
        size = image.nbytes + truth.nbytes
        with self._lock:
            if size <= self._room and index not in self._kept:
                self._room -= size
                self._kept[index] = image, truth
        return image, truth


def read_pair(sample: Sample, canvas: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Image and truth at the size at which they lie on the canvas."""
    image = sample.read_image()
    truth = sample.read_mask((image.shape[0], image.shape[1]))
    height, width = letterboxed_size((image.shape[0], image.shape[1]), canvas)
    if (height, width) != image.shape[:2]:
        how = cv2.INTER_AREA if height <= image.shape[0] else cv2.INTER_CUBIC
        image = cv2.resize(image, (width, height), interpolation=how)
        truth = cv2.resize(truth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return image, truth
