"""`Predictor`: an iterable of pictures in, an iterator of `Segmentation`s out."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from easyseg._keras import backend
from easyseg.errors import InputError
from easyseg.fit import FITS, Placement
from easyseg.imaging import ImageSource, read_image
from easyseg.labels import LabelSet
from easyseg.models.build import logits_model
from easyseg.result import Segmentation
from easyseg.upsample import LogitGrid

__all__ = ["Predictor"]


class Predictor:
    """Segments pictures with a network.

    Args:
        model: A network of `build_model`.
        label_set: Its classes.
        input_size: `(height, width)` of the canvas on which pictures are placed.
        fit: How: "photo" pads, and shrinks what is too large; "graph" and "graph-noresize" do
            what Google's exported graphs do, to compare with them.
        batch_size: Pictures that go through the network together.

    Raises:
        InputError: The label set has another number of classes than the network.
        UnknownNameError: No such `fit`.
    """

    def __init__(
        self,
        model: Any,
        label_set: LabelSet,
        *,
        input_size: tuple[int, int] = (513, 513),
        fit: str = "photo",
        batch_size: int = 1,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size!r} must be a whole number from 1.")
        classes = model.output_shape[-1]
        if classes != len(label_set):
            raise InputError(
                f"the network has {classes} classes but label set {label_set.name!r} has "
                f"{len(label_set)}; give the label set that it was trained with."
            )
        self.label_set = label_set
        self.input_size = input_size
        self.batch_size = batch_size
        self._fit = FITS[fit]
        self._forward = _compile(logits_model(model))

    def __call__(self, images: Iterable[ImageSource]) -> Iterator[Segmentation]:
        """Segments each picture, in order.

        Raises:
            ImageError: A picture cannot be read; the iterator ends there.
        """
        images = iter(images)
        while batch := list(itertools.islice(images, self.batch_size)):
            yield from self._segment(batch)

    def one(self, image: ImageSource) -> Segmentation:
        """Segments one picture."""
        return self._segment([image])[0]

    def _segment(self, images: list[ImageSource]) -> list[Segmentation]:
        clock = [time.perf_counter()]
        photos = [read_image(image) for image in images]
        placed = [self._fit(photo, self.input_size) for photo in photos]
        canvases = np.stack([p.canvas for p in placed])
        clock.append(time.perf_counter())
        logits = self._forward(canvases)
        clock.append(time.perf_counter())
        grids = [_grid(values, p) for values, p in zip(logits, placed, strict=True)]
        labels = [grid.labels() for grid in grids]
        clock.append(time.perf_counter())
        spent = [1000 * (b - a) / len(images) for a, b in itertools.pairwise(clock)]
        speed = dict(zip(("preprocess", "inference", "postprocess"), spent, strict=True))
        return [
            Segmentation(found, self.label_set, photo, speed, grid)
            for found, photo, grid in zip(labels, photos, grids, strict=True)
        ]


def _grid(logits: np.ndarray, placed: Placement) -> LogitGrid:
    """The logits as a grid with corners aligned to the canvas's."""
    size = placed.canvas.shape
    rows, cols = (
        at * ((cells - 1) / max(side - 1, 1))
        for at, cells, side in zip((placed.rows, placed.cols), logits.shape, size, strict=False)
    )
    return LogitGrid(logits, rows, cols)


def _compile(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """A function from `(N, H, W, 3)` to logits, compiled as suits the backend.

    XLA makes dilated depthwise convolutions ten times slower on CPU, so TensorFlow goes without.
    """
    kind = backend()
    if kind == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415

        graph = tf.function(lambda x: model(x, training=False), jit_compile=False)
        return lambda x: graph(tf.constant(x)).numpy()
    if kind == "jax":
        import jax  # noqa: PLC0415

        weights = (
            [v.value for v in part]
            for part in (model.trainable_variables, model.non_trainable_variables)
        )
        trainable, fixed = weights
        run = jax.jit(lambda x: model.stateless_call(trainable, fixed, x, training=False)[0])
        return lambda x: np.asarray(run(x))
    from easyseg._keras import ops  # noqa: PLC0415

    return lambda x: ops.convert_to_numpy(ops.stop_gradient(model(x, training=False)))
