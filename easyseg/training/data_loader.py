"""Batches for `fit`: which images, in which order, augmented how, is a function of the seed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from easyseg._keras import backend, keras
from easyseg.datasets.base import IGNORE
from easyseg.inference.preprocess import pad
from easyseg.training.sample_cache import SampleCache

__all__ = ["TrainLoader", "ValLoader", "spread", "stream"]

Augment = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]

WORKERS = max(2, min(8, os.cpu_count() or 2))  # OpenCV lets go of Python's lock
AHEAD = 3  # batches begun before they are asked for


class TrainLoader(keras.utils.PyDataset):
    """Augmented batches, made in threads ahead of the step that uses them.

    Batch `i` of epoch `e` is the same whenever it is asked for: order and augmentation depend on
    `(seed, e, place)` alone, so that a resumed run goes on as the first would have. All batches
    are full: the last one of an epoch begins the same order again.

    Args:
        examples: What is trained on.
        augment: Makes crops of one size from image and truth.
        batch_size: Images of a batch.
        seed: Of order and augmentation.
    """

    def __init__(
        self, examples: SampleCache, augment: Augment, *, batch_size: int, seed: int
    ) -> None:
        super().__init__()
        self._examples = examples
        self._augment = augment
        self._batch_size = batch_size
        self._seed = seed
        self._pool = ThreadPoolExecutor(WORKERS, "easyseg-feed")
        self._begun: dict[int, list[Future[tuple[np.ndarray, np.ndarray]]]] = {}
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Goes to an epoch; what was begun for another is dropped."""
        self.close()
        self._begun = {}
        self._epoch = epoch
        self._order = np.random.default_rng((self._seed, epoch)).permutation(len(self._examples))

    def close(self) -> None:
        """Drops what was begun."""
        for futures in self._begun.values():
            for future in futures:
                future.cancel()

    def __len__(self) -> int:
        return math.ceil(len(self._examples) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """`(N, h, w, 3) uint8 RGB` and `(N, h, w)` class ids."""
        for i in range(index, min(index + AHEAD, len(self))):
            if i not in self._begun:
                self._begun[i] = [self._pool.submit(self._one, place) for place in self._places(i)]
        pairs = [future.result() for future in self._begun.pop(index)]
        return np.stack([image for image, _ in pairs]), np.stack([truth for _, truth in pairs])

    def files(self, index: int) -> list[str]:
        """The images of a batch, for messages."""
        chosen = (self._order[place % len(self._order)] for place in self._places(index))
        return [str(self._examples.samples[i].image) for i in chosen]

    def _places(self, index: int) -> range:
        return range(index * self._batch_size, (index + 1) * self._batch_size)

    def _one(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        image, truth = self._examples[self._order[place % len(self._order)]]
        rng = np.random.default_rng((self._seed, self._epoch, place))
        return self._augment(image, truth, rng)


class ValLoader(keras.utils.PyDataset):
    """Whole images on the network's canvas, in order, for the validation loss.

    Args:
        examples: What is measured on.
        canvas: `(height, width)`.
        batch_size: Images of a batch.
        parts: Equal parts that a batch must have, of which it is a multiple. The last one is
            filled up with its first image.
    """

    def __init__(
        self, examples: SampleCache, canvas: tuple[int, int], *, batch_size: int, parts: int = 1
    ) -> None:
        super().__init__()
        self._parts = parts
        self._examples = examples
        self._canvas = canvas
        self._batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self._examples) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """`(N, h, w, 3) float32 RGB` and `(N, h, w)` class ids, ignored beyond the image."""
        first = index * self._batch_size
        pairs = [
            self._examples[i]
            for i in range(first, min(first + self._batch_size, len(self._examples)))
        ]
        pairs += pairs[:1] * (-len(pairs) % self._parts)
        truths = np.full((len(pairs), *self._canvas), IGNORE, pairs[0][1].dtype)
        for canvas, (_, truth) in zip(truths, pairs, strict=True):
            canvas[: truth.shape[0], : truth.shape[1]] = truth
        return np.stack([pad(image, self._canvas) for image, _ in pairs]), truths


def stream(batches: Any) -> Any:
    """What `fit` and `evaluate` of Keras take the batches of a `PyDataset` from.

    Under TensorFlow this is a `tf.data.Dataset` without autotuning, which Keras would leave on: now
    and then its thread holds up the end of an epoch for as much as 10 seconds.
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
