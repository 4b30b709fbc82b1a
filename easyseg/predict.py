"""`Predictor`: an iterable of pictures in, an iterator of `Segmentation`s out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from easyseg._keras import backend
from easyseg.config import is_count
from easyseg.errors import ImageError, InputError
from easyseg.fit import FITS, Placement
from easyseg.imaging import ImageSource, read_image
from easyseg.labels import LabelSet
from easyseg.models.build import logits_model
from easyseg.result import Segmentation
from easyseg.upsample import LogitGrid

__all__ = ["Forwarded", "Predictor"]


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
        if not is_count(batch_size):
            raise InputError(f"batch_size={batch_size!r} must be a whole number from 1.")
        if len(input_size) != 2 or not all(is_count(side) for side in input_size):
            raise InputError(f"input_size={input_size!r} must be (height, width) in pixels.")
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
        self._network = _compile(logits_model(model), input_size)

    def __call__(self, images: Iterable[ImageSource]) -> Iterator[Segmentation]:
        """Segments each picture, in order.

        Raises:
            InputError: `images` is one picture, not several.
            ImageError: A picture cannot be read; the iterator ends there, after the results of
                the pictures before it.
        """
        if isinstance(images, (str, bytes, os.PathLike, np.ndarray)):
            raise InputError("one picture was given for several; put it into a list: [picture].")
        return (forwarded.finish() for forwarded in self.forward(images))

    def one(self, image: ImageSource) -> Segmentation:
        """Segments one picture."""
        return self._forward_batch([self._prepare(image)])[0].finish()

    def forward(
        self, images: Iterable[ImageSource], *, batch_size: int | None = None
    ) -> Iterator[Forwarded]:
        """The first half of the work: reads pictures and runs the network, in order.

        `Forwarded.finish` is the second half, which may run in another thread.

        Args:
            images: As in `__call__`.
            batch_size: Instead of the predictor's own.
        """
        size = batch_size or self.batch_size
        batch: list[_Prepared] = []
        for image in images:
            try:
                batch.append(self._prepare(image))
            except ImageError:
                yield from self._forward_batch(batch)
                raise
            if len(batch) == size:
                yield from self._forward_batch(batch)
                batch = []
        yield from self._forward_batch(batch)

    def _prepare(self, image: ImageSource) -> _Prepared:
        started = time.perf_counter()
        photo = read_image(image)
        placed = self._fit(photo, self.input_size)
        return _Prepared(photo, placed, time.perf_counter() - started)

    def _forward_batch(self, batch: list[_Prepared]) -> list[Forwarded]:
        if not batch:
            return []
        started = time.perf_counter()
        logits = self._network(np.stack([p.placed.canvas for p in batch]))
        inference = 1000 * (time.perf_counter() - started) / len(batch)
        return [
            # a view would keep the whole batch's logits alive
            Forwarded(
                prepared.photo,
                _grid(values if len(batch) == 1 else values.copy(), prepared.placed),
                self.label_set,
                {"preprocess": 1000 * prepared.seconds, "inference": inference},
            )
            for prepared, values in zip(batch, logits, strict=True)
        ]


class Forwarded(NamedTuple):
    """A picture that went through the network, before its labels are computed.

    Attributes:
        photo: `(H, W, 3) uint8 RGB`.
        grid: Its logits; `_replace(grid=...)` puts others in their place.
        label_set: The network's classes.
        speed: Milliseconds spent in "preprocess" and "inference".
    """

    photo: np.ndarray
    grid: LogitGrid
    label_set: LabelSet
    speed: dict[str, float]

    def finish(self) -> Segmentation:
        """Labels at the photo's own size."""
        started = time.perf_counter()
        labels = self.grid.labels()
        speed = {**self.speed, "postprocess": 1000 * (time.perf_counter() - started)}
        return Segmentation(labels, self.label_set, self.photo, speed, self.grid)


class _Prepared(NamedTuple):
    photo: np.ndarray
    placed: Placement
    seconds: float


def _grid(logits: np.ndarray, placed: Placement) -> LogitGrid:
    """The logits as a grid with corners aligned to the canvas's."""
    size = placed.canvas.shape
    rows, cols = (
        at * ((cells - 1) / max(side - 1, 1))
        for at, cells, side in zip((placed.rows, placed.cols), logits.shape, size, strict=False)
    )
    return LogitGrid(logits, rows, cols)


def _compile(model: Any, size: tuple[int, int]) -> Callable[[np.ndarray], np.ndarray]:
    """A function from `(N, *size, 3) float32` to logits, compiled as suits the backend.

    XLA makes dilated depthwise convolutions much slower on CPU, so TensorFlow goes without.
    """
    if backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415

        graph = tf.function(
            lambda x: model(x, training=False),
            input_signature=[tf.TensorSpec((None, *size, 3))],  # one trace for every batch size
            jit_compile=False,
        )
        return lambda x: graph(tf.constant(x)).numpy()
    if backend() == "jax":
        import jax  # noqa: PLC0415

        trainable = [v.value for v in model.trainable_variables]
        fixed = [v.value for v in model.non_trainable_variables]
        run = jax.jit(lambda x: model.stateless_call(trainable, fixed, x, training=False)[0])
        return lambda x: np.asarray(run(x))
    import torch  # noqa: PLC0415

    return torch.no_grad()(lambda x: model(x, training=False).cpu().numpy())
