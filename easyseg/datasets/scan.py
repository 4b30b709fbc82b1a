"""One pass over a data set before training: sizes, class pixels and unreadable files."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np

from easyseg.datasets.base import IGNORE, Dataset, Sample
from easyseg.datasets.mask_files import is_jpeg
from easyseg.errors import DatasetError, EasysegError, ImageError, show_path
from easyseg.io.open_image import IMAGE_EXTENSIONS, open_image, orientation_of

MUCH_IGNORED = 0.05  # fraction of the pixels above which there is a warning
THREADS = 4
THUMBNAIL = 16  # side of the gray image by which images are compared
SWAPS_SIDES = range(5, 9)  # EXIF orientations


@dataclasses.dataclass(frozen=True)
class SampleScan:
    """What the files of a sample hold.

    Args:
        split: Its split.
        sample: The sample.
        error: Why it cannot be used; `None` if it can.
        size: `(height, width)` of the image in pixels.
        pixels: `(classes,) int64`, pixels of each class in the mask.
        ignored: Ignored pixels in the mask.
        rotated: Whether the image's EXIF tag rotates or mirrors it.
        jpeg_mask: Whether the mask is a JPEG file.
        resized_mask: Whether the mask's size differs from the image's.
        thumbnail: `(16, 16) float32` gray image of zero mean; `None` if images were not read.
    """

    split: str
    sample: Sample
    error: EasysegError | None = None
    size: tuple[int, int] = (0, 0)
    pixels: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
    ignored: int = 0
    rotated: bool = False
    jpeg_mask: bool = False
    resized_mask: bool = False
    thumbnail: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class DatasetScan:
    """The scans of all samples of a data set.

    Args:
        dataset: The data set.
        samples: One scan per sample, split by split.
    """

    dataset: Dataset
    samples: Sequence[SampleScan]

    @property
    def errors(self) -> list[EasysegError]:
        """Why samples cannot be used."""
        return [scan.error for scan in self.samples if scan.error]

    def readable(self, split: str | None = None) -> list[SampleScan]:
        """The samples of a split, or of all, that can be read."""
        return [s for s in self.samples if not s.error and split in (None, s.split)]

    def pixels(self, split: str) -> np.ndarray:
        """`(classes,) int64`, pixels of each class in a split."""
        zeros = np.zeros(len(self.dataset.label_set), np.int64)
        return sum((scan.pixels for scan in self.readable(split)), zeros)

    def ignored(self, split: str) -> float:
        """Fraction of a split's pixels that are ignored, 0 to 1; 0 if there are none."""
        ignored = sum(scan.ignored for scan in self.readable(split))
        return ignored / max(1, ignored + int(self.pixels(split).sum()))


def scan_dataset(dataset: Dataset, *, quick: bool = False) -> DatasetScan:
    """Reads every mask and every image once.

    Args:
        dataset: What to scan.
        quick: Read only the headers of images: damaged images are not noticed, and there are no
            thumbnails.
    """
    tasks = [(split, sample) for split, part in dataset.splits.items() for sample in part]
    classes = len(dataset.label_set)
    with ThreadPoolExecutor(THREADS, "easyseg-scan") as pool:
        scans = list(pool.map(lambda task: _scan(task[0], task[1], classes, quick=quick), tasks))
    return DatasetScan(dataset, scans)


def _scan(split: str, sample: Sample, classes: int, *, quick: bool) -> SampleScan:
    try:
        size, orientation, thumbnail = _read(sample, quick=quick)
        pixels = np.bincount(sample.read_mask(size).ravel(), minlength=IGNORE + 1)
    except (DatasetError, ImageError) as error:
        return SampleScan(split, sample, error)
    unknown = np.flatnonzero(pixels[classes:IGNORE])
    if len(unknown):
        message = (
            f"{sample.mask} has id {classes + unknown[-1]}, but there are {classes} classes (0 to "
            f"{classes - 1}) and {IGNORE} for ignored pixels; correct the mask or name all classes."
        )
        return SampleScan(split, sample, DatasetError(message))
    return SampleScan(
        split,
        sample,
        size=size,
        pixels=pixels[:classes],
        ignored=int(pixels[IGNORE]),
        rotated=orientation in range(2, 9),
        jpeg_mask=is_jpeg(sample.mask),
        resized_mask=_mask_size(sample) not in (None, size),
        thumbnail=thumbnail,
    )


def _read(sample: Sample, *, quick: bool) -> tuple[tuple[int, int], int, np.ndarray | None]:
    """`(height, width)` of the upright image, its EXIF orientation, and its thumbnail."""
    source, name = sample.image_source(), show_path(sample.image)
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    with open_image(file, name, max_pixels=sample.max_pixels) as image:
        # of a PNG only from its header, because Pillow decodes it for more
        has_exif = image.format != "PNG" or "exif" in image.info
        orientation = orientation_of(image) if has_exif else 1
        width, height = image.size
        thumbnail = None if quick else _thumbnail(image)
    size = (width, height) if orientation in SWAPS_SIDES else (height, width)
    return size, orientation, thumbnail


def _thumbnail(image: Any) -> np.ndarray:
    """`(16, 16) float32` gray, zero mean. JPEGs are decoded at an eighth of their size."""
    image.draft("L", (8 * THUMBNAIL, 8 * THUMBNAIL))
    gray = np.asarray(image.convert("L"))
    small = cv2.resize(gray, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return (small - small.mean()).astype(np.float32)


def _mask_size(sample: Sample) -> tuple[int, int] | None:
    """`(height, width)` of a mask that is an image."""
    path = sample.mask
    if path.suffix.lower() not in IMAGE_EXTENSIONS:
        return None
    with open_image(path, show_path(path), max_pixels=sample.max_pixels) as image:
        return image.height, image.width
