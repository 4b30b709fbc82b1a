"""`Predictor`: an iterable of images in, an iterator of `Segmentation`s out."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np

from easyseg.errors import ImageError, InputError
from easyseg.inference.file_network import FileNetwork
from easyseg.inference.options import InferenceOptions
from easyseg.inference.preprocess import letterbox, pad
from easyseg.inference.runtimes import AUTO
from easyseg.inference.runtimes import KERAS as KERAS_RUNTIME
from easyseg.inference.tiling import (
    Tiling,
    blend,
    first_row_for,
    join_tiles,
    label_blocks,
    tile,
    tile_side,
)
from easyseg.inference.types import PreparedImage, RawPrediction
from easyseg.io.read_image import ImageSource, read_image
from easyseg.results.label_set import LabelSet
from easyseg.results.logit_grid import LogitGrid
from easyseg.results.segmentation import Segmentation
from easyseg.utils.process import require_same_process
from easyseg.utils.validation import is_count

KERAS = InferenceOptions(runtime=KERAS_RUNTIME)


@runtime_checkable
class Network(Protocol):
    """What runs a network.

    Attributes:
        runtime: Its name in `RUNTIMES`; `None` before it is started.
        precision: One of `PRECISIONS`.
        batch_size: Images that it runs fastest together, as far as it is known.
        lanes: Threads that may call it at once.
        stride: Pixels of the input between two logits.
        half_pixel: Whether the edges of input and logits coincide, as in SegFormer, rather than the
            centers of their corner pixels.
    """

    runtime: str | None
    precision: str
    batch_size: int
    lanes: int
    stride: int
    half_pixel: bool

    def start(self) -> None:
        """Loads or compiles what the first image needs, if that has not been done."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """`(N, H, W, 3)`, 0 to 255 -> `(N, h, w, classes) float32`."""


class Windows(Protocol):
    """An image, perhaps not in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(height, width, 3)`."""

    def __getitem__(self, window: tuple[slice, slice], /) -> np.ndarray:
        """`(h, w, 3) uint8 RGB`."""


class Predictor:
    """Segments images with a network.

    Args:
        model: A network of `build_model`, which Keras runs; or a `Network`.
        label_set: Its classes.
        input_size: `(height, width)` of the network's input, to which images are padded.
        options: How the network is applied. Where Keras runs it, results follow the model's
            weights when they change.

    Raises:
        InputError: `input_size` breaks its rule, the label set has another number of classes than
            the network, or the network cannot be applied as the options say.
    """

    def __init__(
        self,
        model: Any,
        label_set: LabelSet,
        *,
        input_size: tuple[int, int] = (513, 513),
        options: InferenceOptions = KERAS,
    ) -> None:
        if len(input_size) != 2 or not all(is_count(side) for side in input_size):
            raise InputError(f"Expected input_size=(height, width) in pixels, got {input_size!r}.")
        self.label_set, self.options = label_set, options
        self.tile = None if options.tile is None else tile_side(options.tile)
        self.input_size = input_size if self.tile is None else (self.tile, self.tile)
        self.network: Network = model if isinstance(model, Network) else self._keras_network(model)
        self._lanes = threading.Semaphore(self.network.lanes)
        if self.network.half_pixel and (options.tile is not None or options.averages):
            raise InputError(
                "tile, scales and flip are not available for a hub: model or another ONNX file, "
                "which take whole images of one size; leave them out."
            )
        if options.averages and isinstance(self.network, FileNetwork):
            raise InputError(
                "scales and flip are not available for an exported file; leave them out, or open "
                "the model that it was exported from."
            )

    def _keras_network(self, model: Any) -> Network:
        from easyseg._keras import keras_defaults  # noqa: PLC0415  (loads Keras)
        from easyseg.inference.runtimes.keras import KerasNetwork  # noqa: PLC0415
        from easyseg.inference.tta import multi_scale  # noqa: PLC0415
        from easyseg.models.build import logits_model  # noqa: PLC0415
        from easyseg.models.kerashub.network import HalfPixelResize  # noqa: PLC0415

        options, num_classes = self.options, model.output_shape[-1]
        if options.runtime not in (AUTO, KERAS_RUNTIME):
            raise InputError(
                f"runtime={options.runtime!r} runs exported files, not a Keras model. Open the "
                "model with SemanticSegmentation, which exports it."
            )
        if num_classes != len(self.label_set):
            raise InputError(
                f"The network has {num_classes} classes but label set {self.label_set.name!r} has "
                f"{len(self.label_set)}. Use the label set that it was trained with."
            )
        half_pixel = isinstance(model.layers[-1], HalfPixelResize)
        network = logits_model(model)
        with keras_defaults():
            cells = network.compute_output_shape((1, 513, 513, 3))[1]
        stride = self.input_size[0] // cells if half_pixel else 512 // (cells - 1)
        if options.averages and not half_pixel:
            network = multi_scale(
                network, self.input_size, options.scales, flip=options.flip, stride=stride
            )
        return KerasNetwork(
            network,
            self.input_size,
            stride=stride,
            half_pixel=half_pixel,
            device=options.device,
        )

    @property
    def runtime(self) -> str | None:
        """What runs the network: a name in `RUNTIMES`; `None` before the first image."""
        return self.network.runtime

    @property
    def batch_size(self) -> int:
        """Images (or tiles) that go through the network together; reading it starts nothing."""
        return self.options.batch_size or self.network.batch_size

    @property
    def precision(self) -> str:
        """Of the network's numbers, one of `PRECISIONS`: as chosen, or as far as available."""
        return self.network.precision

    def start(self) -> None:
        """Loads or compiles what the first image needs; `batch_size` is final after it.

        Raises:
            InputError: This process was forked from the one that loaded the network.
        """
        require_same_process()
        self.network.start()

    def __call__(self, images: Iterable[ImageSource]) -> Iterator[Segmentation]:
        """Segments each image, in order.

        Raises:
            InputError: `images` is one image, not several.
            ImageError: An image cannot be read; the iterator ends there, after the results of
                the images before it.
        """
        _require_several(images)
        return (prediction.finish() for prediction in self.forward(images))

    def one(self, image: ImageSource) -> Segmentation:
        """Segments one image.

        Raises:
            ImageError: It cannot be read.
        """
        return next(self.forward([image])).finish()

    def prepare(self, image: ImageSource, *, item: Any = None) -> PreparedImage:
        """Reads an image and pads it to the network's input; may run in any thread.

        Args:
            image: The image.
            item: Whatever is to be handed on with the image.

        Raises:
            ImageError: It cannot be read.
        """
        started = time.perf_counter()
        pixels = read_image(image, max_pixels=self.options.max_pixels)
        tiled = self.tile is not None and max(pixels.shape[:2]) > self.tile
        letterboxed = None if tiled else letterbox(pixels, self.input_size)
        source = str(image) if isinstance(image, (str, os.PathLike)) else None
        return PreparedImage(pixels, letterboxed, time.perf_counter() - started, source, item)

    def forward(
        self, images: Iterable[ImageSource | PreparedImage], *, batch_size: int | None = None
    ) -> Iterator[RawPrediction]:
        """Reads images and runs the network, in order; `RawPrediction.finish` is what is left.

        Args:
            images: As in `__call__`, or what `prepare` made of them in other threads.
            batch_size: Instead of the predictor's own.

        Raises:
            ImageError: An image cannot be read; the iterator ends there, after the results of
                the images before it.
        """
        if batch_size is None:
            self.start()
        size = batch_size or self.batch_size
        batch: list[PreparedImage] = []
        for image in images:
            try:
                prepared = image if isinstance(image, PreparedImage) else self.prepare(image)
            except ImageError:
                yield from self._forward_batch(batch)
                raise
            if prepared.letterboxed is None:
                yield from self._forward_batch(batch)
                batch = []
                yield self._forward_tiles(prepared, size)
                continue
            batch.append(prepared)
            if len(batch) == size:
                yield from self._forward_batch(batch)
                batch = []
        yield from self._forward_batch(batch)

    def _run(self, images: np.ndarray) -> tuple[np.ndarray, float]:
        """Logits, and the milliseconds that the network took, without waiting for other threads."""
        require_same_process()
        with self._lanes:
            started = time.perf_counter()
            logits = self.network(images)
            return logits, 1000 * (time.perf_counter() - started)

    def _forward_batch(self, batch: list[PreparedImage]) -> list[RawPrediction]:
        if not batch:
            return []
        inputs = [prepared.letterboxed for prepared in batch if prepared.letterboxed is not None]
        padded = [each.padded for each in inputs]
        logits, inference = self._run(padded[0][None] if len(batch) == 1 else np.stack(padded))
        return [
            # a view would keep the whole batch's logits alive
            RawPrediction(
                prepared.image,
                LogitGrid(
                    values if len(batch) == 1 else values.copy(),
                    *letterboxed.on_grid(values.shape[:2], half_pixel=self.network.half_pixel),
                ),
                self.label_set,
                {"preprocess": 1000 * prepared.seconds, "inference": inference / len(batch)},
                source=prepared.source,
                item=prepared.item,
            )
            for prepared, letterboxed, values in zip(batch, inputs, logits, strict=True)
        ]

    def _forward_tiles(self, prepared: PreparedImage, batch_size: int) -> RawPrediction:
        """A large image in tiles; its logits are kept if they are not too many."""
        started, image = time.perf_counter(), prepared.image
        tiling = tile(image.shape[:2], self.input_size[0])
        logits = self._tile_logits(image, tiling, batch_size)
        size, classes = (image.shape[0], image.shape[1]), len(self.label_set)
        grid, labels = join_tiles(tiling, logits, size, self.network.stride, classes)
        speed = {
            "preprocess": 1000 * prepared.seconds,
            "inference": 1000 * (time.perf_counter() - started),
        }
        return RawPrediction(
            image, grid, self.label_set, speed, labels, prepared.source, prepared.item
        )

    def label_rows(
        self, scene: Windows, rows: range | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Segments an image that is larger than a tile and not in memory.

        Args:
            scene: The image.
            rows: The rows of tiles whose labels are computed; `None` for all.

        Yields:
            The first row of a stripe, and `(h, W)` ids, uint8 (uint16 above 256 classes), from top
            to bottom; the same as for the image as an array.
        """
        self.start()
        size, stride = (scene.shape[0], scene.shape[1]), self.network.stride
        tiling = tile(size, self.input_size[0])
        rows = rows or range(len(tiling.rows))
        first = first_row_for(tiling, rows.start, stride)
        needed = tiling._replace(rows=tiling.rows[first : rows.stop])
        logits = self._tile_logits(scene, needed, self.batch_size)
        blocks = blend(tiling, logits, stride, first=first)
        skipped = (rows.start - first) * len(tiling.cols)
        wanted = itertools.islice(blocks, skipped, skipped + len(rows) * len(tiling.cols))
        parts = []
        for down, across, labels in label_blocks(wanted, size, stride):
            parts.append(labels)
            if across.stop >= size[1]:
                yield down.start, np.concatenate(parts, axis=1)
                parts = []

    def _tile_logits(self, image: Windows, tiling: Tiling, batch_size: int) -> Iterator[np.ndarray]:
        corners = [(top, left) for top in tiling.rows for left in tiling.cols]
        side = tiling.side
        for i in range(0, len(corners), batch_size):
            padded = [
                pad(image[top : top + side, left : left + side], (side, side))
                for top, left in corners[i : i + batch_size]
            ]
            logits, _ = self._run(np.stack(padded))
            # averaged scales have logits at the input's size, others at a stride-th of it
            step = (logits.shape[1] - 1) * self.network.stride // (side - 1)
            yield from logits[:, ::step, ::step]


def _require_several(images: Any) -> None:
    is_image = isinstance(images, (str, bytes, bytearray, memoryview, np.ndarray))
    if is_image or not isinstance(images, Iterable):  # paths and PIL images
        raise InputError("Expected several images, got one. Put it into a list: [image].")


def padded_images(
    images: Iterable[ImageSource], size: tuple[int, int], *, max_pixels: int | None = None
) -> list[np.ndarray]:
    """Images as a network of this input size gets them, `(*size, 3) float32` each.

    Raises:
        InputError: `images` is one image, not several.
        ImageError: One cannot be read.
    """
    _require_several(images)
    return [letterbox(read_image(i, max_pixels=max_pixels), size).padded for i in images]
