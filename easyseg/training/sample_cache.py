"""Images and truths for training: read once, at the size at which the network sees images."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np

from easyseg.datasets.base import IGNORE, Sample
from easyseg.errors import DatasetError
from easyseg.inference.preprocess import letterboxed_size
from easyseg.utils.concurrency import bounded_map

__all__ = ["SampleCache", "Survey", "survey"]

log = logging.getLogger(__name__)


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


class Survey(NamedTuple):
    """What the training images show.

    Attributes:
        samples: Those that show a class, without those whose pixels are all ignored.
        pixels: `(images, classes) int64`, how many pixels of each class each of them has.
        largest: The greatest height and the greatest width of an image.
    """

    samples: list[Sample]
    pixels: np.ndarray
    largest: tuple[int, int]


def survey(samples: Sequence[Sample], classes: int, *, split: str = "training") -> Survey:
    """Reads every image and truth before training does, so that a bad file ends it at once.

    Args:
        samples: The split.
        classes: Number of classes.
        split: What it is called in messages.

    Raises:
        ImageError: An image cannot be read.
        DatasetError: A truth cannot be read, has ids that are no class, or none has any.
    """
    shown, counts, largest = [], [], (0, 0)
    with ThreadPoolExecutor(2, "easyseg-survey") as pool:
        found = bounded_map(pool, lambda sample: _class_pixels(sample, classes), samples, 8)
        for sample, (size, pixels) in zip(samples, found, strict=True):
            largest = max(largest[0], size[0]), max(largest[1], size[1])
            if pixels.any():
                shown.append(sample)
                counts.append(pixels)
    if not shown:
        raise DatasetError(
            f"all pixels of all {len(samples)} {split} masks are ignored, such as "
            f"{samples[0].mask}; run `easyseg check` to see which ids the masks have."
        )
    if len(shown) < len(samples):
        empty = next(s for s in samples if s not in shown)
        log.warning(
            "%d of %d %s images are left out, because every pixel of their masks is "
            "ignored; the first is %s.",
            len(samples) - len(shown),
            len(samples),
            split,
            empty.mask,
        )
    return Survey(shown, np.stack(counts), largest)


def _class_pixels(sample: Sample, classes: int) -> tuple[tuple[int, int], np.ndarray]:
    """Height and width of an image, and pixels of each class, `(classes,) int64`."""
    image = sample.read_image()
    size = image.shape[0], image.shape[1]
    truth = sample.read_mask(size)
    pixels = np.bincount(truth[truth != IGNORE].ravel(), minlength=classes)
    if len(pixels) > classes:
        raise DatasetError(
            f"{sample.mask} has id {len(pixels) - 1}, but there are {classes} classes (0 to "
            f"{classes - 1}) and {IGNORE} for pixels that do not count; correct the mask or name "
            "all classes."
        )
    return size, pixels.astype(np.int64)
