"""`Predictor`: an iterable of images in, an iterator of `Segmentation`s out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.errors import ImageError, InputError
from easyseg.inference.preprocess import FITS, pad
from easyseg.inference.runtimes.ready import Note, Ready, checksum
from easyseg.inference.tiling import Tiling, tile, window_side
from easyseg.inference.types import PreparedImage, RawPrediction
from easyseg.inference.views import check_inference_options
from easyseg.inference.windows import joined
from easyseg.io.read_image import ImageSource, read_image
from easyseg.models.kerashub.config import check_whole
from easyseg.results.label_set import LabelSet
from easyseg.results.logit_grid import LogitGrid
from easyseg.results.segmentation import Segmentation
from easyseg.utils.validation import is_count

__all__ = ["Predictor"]


class Predictor:
    """Segments images with a network.

    Args:
        model: A network of `build_model`.
        label_set: Its classes.
        input_size: `(height, width)` of the canvas on which images are placed.
        fit: How: "image" pads, and shrinks what is too large; "graph" and "graph-noresize" do
            what Google's exported graphs do, to compare with them.
        batch_size: Images (or windows) that go through the network together; by default as
            many as the runtime was measured to like best, and one before that.
        tile: Larger images are not shrunk but seen in overlapping windows of so many pixels
            (rounded up to `32 k + 1`), whose logits are blended.
        scales: Factors of the image's size at which it is seen too; the probabilities are
            averaged, as in Google's multi-scale evaluation.
        flip: Each scale is seen in its mirror image too.
        runtime: What runs the network: a row of `easyseg.inference.runtimes.RUNTIMES`, or "auto". Only "keras"
            follows the model's weights when they change.
        precision: "float32" is float32; "bfloat16" and "int8" are less exact.
        home: The cache folder, where runtimes keep what they compiled.

    Raises:
        InputError: An argument breaks its rule, the runtime has no such precision, or the label
            set has another number of classes than the network.
        UnknownNameError: No such `fit`, `runtime` or `precision`.
    """

    def __init__(
        self,
        model: Any,
        label_set: LabelSet,
        *,
        input_size: tuple[int, int] = (513, 513),
        fit: str = "image",
        batch_size: int | None = None,
        tile: int | None = None,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        runtime: str = "keras",
        precision: str = "float32",
        home: Path | None = None,
    ) -> None:
        # they load Keras, which a predictor that is `ready` does without
        from easyseg.inference.runtimes.runner import Runner  # noqa: PLC0415
        from easyseg.inference.tta import multi_scale  # noqa: PLC0415
        from easyseg.models.build import logits_model  # noqa: PLC0415
        from easyseg.models.kerashub.network import HalfPixelResize  # noqa: PLC0415

        check_inference_options(batch_size=batch_size, tile=tile, scales=scales)
        if len(input_size) != 2 or not all(is_count(side) for side in input_size):
            raise InputError(f"input_size={input_size!r} must be (height, width) in pixels.")
        classes = model.output_shape[-1]
        if classes != len(label_set):
            raise InputError(
                f"the network has {classes} classes but label set {label_set.name!r} has "
                f"{len(label_set)}; give the label set that it was trained with."
            )
        self._half_pixel = isinstance(model.layers[-1], HalfPixelResize)
        if self._half_pixel:
            check_whole(tile=tile, scales=scales, flip=flip)
        self._place(label_set, input_size, fit, batch_size, tile)
        self.scales, self.flip = tuple(scales), flip
        network = logits_model(model)
        self._stride = 512 // (network.compute_output_shape((1, 513, 513, 3))[1] - 1)
        if tuple(scales) != (1.0,) or flip:
            network = multi_scale(network, self.input_size, scales, flip=flip, stride=self._stride)
        self._network: Any = Runner(
            network, self.input_size, runtime=runtime, precision=precision, home=home
        )

    @classmethod
    def ready(
        cls,
        network: Ready,
        label_set: LabelSet,
        *,
        input_size: tuple[int, int],
        batch_size: int | None = None,
        tile: int | None = None,
    ) -> Predictor:
        """A predictor whose runtime, `network`, is at work already, which needs no Keras."""
        made = cls.__new__(cls)
        made._half_pixel = False
        made._place(label_set, input_size, "image", batch_size, tile)
        made.scales, made.flip = (1.0,), False
        made._stride, made._network = network.stride, network
        return made

    def _place(
        self,
        label_set: LabelSet,
        input_size: tuple[int, int],
        fit: str,
        batch_size: int | None,
        tile: int | None,
    ) -> None:
        """What does not depend on the network."""
        self.label_set = label_set
        self.window = None if tile is None else window_side(tile)
        self.input_size = input_size if self.window is None else (self.window, self.window)
        self._batch_size = batch_size
        self._fit = FITS[fit]

    @property
    def runtime(self) -> str | None:
        """What runs the network; `None` before the first image."""
        return self._network.runtime

    @property
    def weights(self) -> str | None:
        """A checksum of the weights, where the runtime stands without them."""
        return self._network.weights if isinstance(self._network, Ready) else None

    @property
    def has_network(self) -> bool:
        """Whether there is a Keras network behind the runtime, without which nothing is measured."""
        return not isinstance(self._network, Ready)

    def kept_for(self, model: Any) -> Note | None:
        """What to remember of the runtime, if it has the weights of this model."""
        from easyseg.inference.runtimes.cache import network_folder  # noqa: PLC0415
        from easyseg.models.build import logits_model  # noqa: PLC0415

        running = self._network
        folder, network = running.folder, logits_model(model)
        if folder is None or folder != network_folder(folder.parents[1], network, self.input_size):
            return None
        size = running.batch_size
        return Note(running.runtime, folder.name, size, self._stride, checksum(model))

    @property
    def batch_size(self) -> int:
        """Images (or windows) that go through the network together."""
        return self._batch_size or self._network.batch_size

    @property
    def precision(self) -> str:
        """Of the network's numbers: a row of `easyseg.inference.runtimes.PRECISIONS`."""
        return self._network.precision

    def __call__(self, images: Iterable[ImageSource]) -> Iterator[Segmentation]:
        """Segments each image, in order.

        Raises:
            InputError: `images` is one image, not several.
            ImageError: An image cannot be read; the iterator ends there, after the results of
                the images before it.
        """
        if isinstance(images, (str, bytes, os.PathLike, np.ndarray)):
            raise InputError("one image was given for several; put it into a list: [image].")
        return (forwarded.finish() for forwarded in self.forward(images))

    def one(self, image: ImageSource) -> Segmentation:
        """Segments one image."""
        return next(self.forward([image])).finish()

    def optimize(self, images: Iterable[ImageSource] = ()) -> dict[str, float]:
        """Makes the runtime ready, and "auto" find the fastest; see `Runner.optimize`."""
        canvases = [self._fit(read_image(image), self.input_size).canvas for image in images]
        return self._network.optimize(canvases)

    def prepare(self, image: ImageSource) -> PreparedImage:
        """Reads an image and places it on the network's canvas, in any thread.

        Raises:
            ImageError: It cannot be read.
        """
        started = time.perf_counter()
        pixels = read_image(image)
        whole = self.window is None or max(pixels.shape[:2]) <= self.window
        return PreparedImage(
            pixels,
            self._fit(pixels, self.input_size) if whole else None,
            time.perf_counter() - started,
            _source(image),
        )

    def forward(
        self, images: Iterable[ImageSource | PreparedImage], *, batch_size: int | None = None
    ) -> Iterator[RawPrediction]:
        """The first half of the work: reads images and runs the network, in order.

        `RawPrediction.finish` is the second half, which may run in another thread.

        Args:
            images: As in `__call__`, or what `prepare` made of them in other threads.
            batch_size: Instead of the predictor's own.
        """
        size = batch_size or self.batch_size
        batch: list[PreparedImage] = []
        for image in images:
            try:
                prepared = image if isinstance(image, PreparedImage) else self.prepare(image)
            except ImageError:
                yield from self._forward_batch(batch)
                raise
            if prepared.placed is None:
                yield from self._forward_batch(batch)
                batch = []
                yield self._forward_windows(prepared, self.input_size[0], size)
                continue
            batch.append(prepared)
            if len(batch) == size:
                yield from self._forward_batch(batch)
                batch = []
        yield from self._forward_batch(batch)

    def _forward_batch(self, batch: list[PreparedImage]) -> list[RawPrediction]:
        if not batch:
            return []
        started = time.perf_counter()
        places = [prepared.placed for prepared in batch if prepared.placed is not None]
        canvases = [placed.canvas for placed in places]
        logits = self._network(canvases[0][None] if len(batch) == 1 else np.stack(canvases))
        inference = 1000 * (time.perf_counter() - started) / len(batch)
        return [
            # a view would keep the whole batch's logits alive
            RawPrediction(
                prepared.image,
                LogitGrid(
                    values if len(batch) == 1 else values.copy(),
                    *placed.on_grid(values.shape[:2], half_pixel=self._half_pixel),
                ),
                self.label_set,
                {"preprocess": 1000 * prepared.seconds, "inference": inference},
                source=prepared.source,
            )
            for prepared, placed, values in zip(batch, places, logits, strict=True)
        ]

    def _forward_windows(
        self, prepared: PreparedImage, window: int, batch_size: int
    ) -> RawPrediction:
        """A large image in windows; its logits are kept if they are not too many."""
        started, image = time.perf_counter(), prepared.image
        tiling = tile(image.shape[:2], window)
        logits = self._window_logits(image, tiling, batch_size)
        size, classes = (image.shape[0], image.shape[1]), len(self.label_set)
        grid, labels = joined(tiling, logits, size, self._stride, classes)
        speed = {
            "preprocess": 1000 * prepared.seconds,
            "inference": 1000 * (time.perf_counter() - started),
        }
        return RawPrediction(image, grid, self.label_set, speed, labels, prepared.source)

    def _window_logits(
        self, image: np.ndarray, tiling: Tiling, batch_size: int
    ) -> Iterator[np.ndarray]:
        places = [(top, left) for top in tiling.rows for left in tiling.cols]
        side = tiling.window
        for i in range(0, len(places), batch_size):
            canvases = [
                pad(image[top : top + side, left : left + side], (side, side))
                for top, left in places[i : i + batch_size]
            ]
            logits = self._network(np.stack(canvases))
            step = (logits.shape[1] - 1) * self._stride // (side - 1)  # of averaged scales: 4
            yield from logits[:, ::step, ::step]


def _source(image: ImageSource) -> str | None:
    return str(image) if isinstance(image, (str, os.PathLike)) else None
