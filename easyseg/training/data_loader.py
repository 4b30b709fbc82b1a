"""Images and masks for training: read once, augmented in threads, stacked to batches."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np

from easyseg._keras import backend, keras
from easyseg.datasets.base import IGNORE, Sample
from easyseg.inference.preprocess import letterboxed_size

Augment = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]

WORKERS = max(2, min(8, os.cpu_count() or 2))  # OpenCV releases the GIL
PREFETCH = 3  # batches


class SampleCache:
    """Images and masks at the size at which inference sees the images.

    Those that fit in memory are decoded once. Threads may share it.

    Args:
        samples: Images with masks.
        input_size: `(height, width)` of the network's input.
        cache_bytes: Bytes of decoded images and masks that are kept.
    """

    def __init__(
        self, samples: Sequence[Sample], *, input_size: tuple[int, int], cache_bytes: int
    ) -> None:
        self.samples = samples
        self._input_size = input_size
        self._free_bytes = cache_bytes
        self._cached: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """`(h, w, 3) uint8 RGB` and `(h, w)` class ids, both read-only by agreement.

        Raises:
            ImageError: The image cannot be read.
            DatasetError: The mask cannot be read.
        """
        if index in self._cached:
            return self._cached[index]
        sample = self.samples[index]
        image = sample.read_image()
        mask = sample.read_mask((image.shape[0], image.shape[1]))
        height, width = letterboxed_size((image.shape[0], image.shape[1]), self._input_size)
        if (height, width) != image.shape[:2]:
            how = cv2.INTER_AREA if height <= image.shape[0] else cv2.INTER_CUBIC
            image = cv2.resize(image, (width, height), interpolation=how)
            mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        size = image.nbytes + mask.nbytes
        with self._lock:
            if size <= self._free_bytes and index not in self._cached:
                self._free_bytes -= size
                self._cached[index] = image, mask
        return image, mask


def mask_on_input(mask: np.ndarray, input_size: tuple[int, int]) -> np.ndarray:
    """A mask `(H, W)` resized as inference resizes its image, and padded with `IGNORE`."""
    height, width = letterboxed_size((mask.shape[0], mask.shape[1]), input_size)
    padded = np.full(input_size, IGNORE, mask.dtype)
    padded[:height, :width] = cv2.resize(
        mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT
    )
    return padded


class TrainLoader(keras.utils.PyDataset):
    """Augmented batches, made in threads ahead of the step that uses them.

    Batch `i` of epoch `e` is the same whenever it is read: order and augmentation depend on
    `(seed, e, position)` alone, so that a resumed run continues as the first would have. All
    batches are full: the last one of an epoch starts the same order again.

    Args:
        cache: What is trained on.
        augment: Makes crops of one size from image and mask.
        batch_size: Images per batch.
        seed: Of order and augmentation.
        part: Number of the part of each batch that is read, and how many equal parts it has.
    """

    def __init__(
        self,
        cache: SampleCache,
        augment: Augment,
        *,
        batch_size: int,
        seed: int,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        super().__init__()
        self._cache = cache
        self._augment = augment
        self._batch_size = batch_size
        self._seed = seed
        number, count = part
        self._part = slice(number * batch_size // count, (number + 1) * batch_size // count)
        self._pool = ThreadPoolExecutor(WORKERS, "easyseg-train-loader")
        self._pending: dict[int, list[Future[tuple[np.ndarray, np.ndarray]]]] = {}
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Starts an epoch; batches prepared for another are dropped."""
        self.close()
        self._pending = {}
        self._epoch = epoch
        self._order = np.random.default_rng((self._seed, epoch)).permutation(len(self._cache))

    def close(self) -> None:
        """Drops the batches that were prepared."""
        for futures in self._pending.values():
            for future in futures:
                future.cancel()

    def __len__(self) -> int:
        return math.ceil(len(self._cache) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """`(N, h, w, 3) uint8 RGB` and `(N, h, w)` class ids."""
        for i in range(index, min(index + PREFETCH, len(self))):
            if i not in self._pending:
                self._pending[i] = [
                    self._pool.submit(self._augmented, position)
                    for position in self._positions(i)[self._part]
                ]
        pairs = [future.result() for future in self._pending.pop(index)]
        return np.stack([image for image, _ in pairs]), np.stack([mask for _, mask in pairs])

    def files(self, index: int) -> list[str]:
        """The images of a batch, of all its parts, for messages."""
        chosen = (self._order[position % len(self._order)] for position in self._positions(index))
        return [str(self._cache.samples[i].image) for i in chosen]

    def _positions(self, index: int) -> range:
        return range(index * self._batch_size, (index + 1) * self._batch_size)

    def _augmented(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        image, mask = self._cache[self._order[position % len(self._order)]]
        rng = np.random.default_rng((self._seed, self._epoch, position))
        return self._augment(image, mask, rng)


def stream(batches: Any) -> Any:
    """What Keras's `fit` takes the batches of a `PyDataset` from.

    Under TensorFlow this is a `tf.data.Dataset` without autotuning, which Keras would leave on: now
    and then its thread delays the end of an epoch by as much as 10 seconds.
    """
    if backend() != "tensorflow":
        return batches
    import tensorflow as tf  # noqa: PLC0415

    options = tf.data.Options()
    options.autotune.enabled = False
    data = tf.data.Dataset.from_generator(
        lambda: (batches[i] for i in range(len(batches))),
        output_signature=tuple(
            tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in batches[0]
        ),
    )
    count = tf.data.experimental.assert_cardinality(len(batches))
    return data.apply(count).prefetch(1).with_options(options)


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """At most `count` of them, evenly spread."""
    if len(items) <= count:
        return list(items)
    return [items[int(i * len(items) / count)] for i in range(count)]
