"""Real images, to calibrate "int8" with and to compare on: read and padded as in use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np

from easyseg.datasets import DatasetOptions, open_with_options
from easyseg.datasets.base import Dataset, Sample
from easyseg.datasets.splits import with_validation_split
from easyseg.errors import DatasetError, InputError
from easyseg.evaluation.class_mapping import ClassMapping, map_classes
from easyseg.export.options import ExportOptions
from easyseg.inference.preprocess import letterbox, letterboxed_size
from easyseg.io.find_images import find_images
from easyseg.io.read_image import read_image
from easyseg.results.label_set import LabelSet

T = TypeVar("T")

CALIBRATION, COMPARISON, LABELED = 200, 16, 500  # images at most, spread over all that are given


class RealImage(NamedTuple):
    """An image as the network gets it.

    Attributes:
        pixels: `(H, W, 3) uint8 RGB`, of the input's size.
        size: `(h, w)` of the image within them, in the upper left.
        labels: `(h, w)`, the ids of a data set; `None` without masks.
    """

    pixels: np.ndarray
    size: tuple[int, int]
    labels: np.ndarray | None = None


class RealImages(NamedTuple):
    """What images there are; they are read once the size of the input is known.

    Attributes:
        calibrate: Reads the images to calibrate with, `(H, W)` each.
        compare: Reads those to compare on, for a size and a label set.
        data: The data set that has the masks of the latter, if there are any.
    """

    calibrate: Callable[[tuple[int, int]], list[RealImage]]
    compare: Callable[[tuple[int, int], ClassMapping | None], list[RealImage]]
    data: Dataset | None

    def classes(self, label_set: LabelSet) -> ClassMapping | None:
        """Which of the network's classes is which of the data set's; `None` without masks.

        Raises:
            InputError: They do not fit.
        """
        if self.data is None:
            return None
        try:
            return map_classes(label_set, self.data.label_set)
        except InputError as error:
            raise InputError(
                f"data={self.data.name!r} has other classes than the model, so its mIoU cannot be "
                "compared. Give its images as calibrate='folder', and measure the exported file "
                "by evaluate(data, class_map=...)."
            ) from error


def find_real_images(options: ExportOptions) -> RealImages:
    """Finds the images that `calibrate`, `check` and `data` name.

    Raises:
        ImageNotFoundError: A folder or pattern has none.
        InputError: One image is given instead of several.
        DatasetError: The data set cannot be read.
    """
    data = None
    if options.data is not None:
        data = with_validation_split(open_with_options(options.data, DatasetOptions()))
    images = None if options.calibrate is None else _listed(options.calibrate, "calibrate")
    own = None if isinstance(options.check, bool) else _listed(options.check, "check")
    train = [] if data is None else data.split("train")
    labeled = [] if data is None or not options.check else data.split("val")

    def calibrate(size: tuple[int, int]) -> list[RealImage]:
        if images is not None:
            return [_fitted(image, size) for image in spread(images, CALIBRATION)]
        return [_fitted(sample.image_source(), size) for sample in spread(train, CALIBRATION)]

    def compare(size: tuple[int, int], classes: ClassMapping | None) -> list[RealImage]:
        if classes is not None and labeled:
            return [_labeled(sample, size, classes) for sample in spread(labeled, LABELED)]
        return [_fitted(image, size) for image in spread(own or images or [], COMPARISON)]

    return RealImages(calibrate, compare, data)


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most so many of the items, at even distances."""
    count = min(count, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def _listed(images: Any, name: str) -> list[Any]:
    """Paths, or images in memory; the first is read, so that a wrong path is known early."""
    if isinstance(images, (str, os.PathLike)):
        images = [images]
    if isinstance(images, (bytes, bytearray, np.ndarray)) or not isinstance(images, Iterable):
        raise InputError(
            f"{name}= must be a folder, a pattern or several images, not one "
            f"{type(images).__name__}; put it into a list: {name}=[image]."
        )
    listed = list(images)
    if not listed:
        raise InputError(f"{name}= has no images; give a folder, a pattern or several images.")
    if all(isinstance(image, (str, os.PathLike)) for image in listed):
        listed = [image.source for image in find_images(listed)]
    read_image(listed[0])
    return listed


def _fitted(source: Any, size: tuple[int, int]) -> RealImage:
    image = read_image(source)
    padded = np.rint(letterbox(image, size).padded).astype(np.uint8)  # gray is 128 then
    return RealImage(padded, letterboxed_size(image.shape[:2], size))


def _labeled(sample: Sample, size: tuple[int, int], classes: ClassMapping) -> RealImage:
    image = _fitted(sample.image_source(), size)
    mask = classes.map_ground_truth(sample.read_mask())
    height, width = image.size
    labels = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
    if labels[labels != 255].max(initial=0) >= len(classes.label_set):
        raise DatasetError(f"{sample.mask} has ids that are none of the classes; check the data.")
    return image._replace(labels=labels)
