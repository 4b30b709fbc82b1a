"""What one sample of a data set is like: its size, its classes, and what is wrong with it."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from easyseg.datasets.alignment import Evidence, edge_evidence
from easyseg.datasets.base import Sample
from easyseg.errors import DatasetError, ImageError
from easyseg.io.read_image import DECODE_ERRORS, IMAGE_EXTENSIONS, require_file

__all__ = ["THUMBNAIL", "Facts", "examine"]

THUMBNAIL = 16  # side of the small gray image by which images are compared
TURNED = range(5, 9)  # EXIF orientations that swap width and height
EXIF_ORIENTATION = 274


@dataclasses.dataclass(frozen=True)
class Facts:
    """What was found in the files of one sample.

    Args:
        split: Its split.
        sample: The sample.
        problem: Why it cannot be used; "" if it can.
        size: `(height, width)` of the image.
        pixels: `(256,) int64`, pixels of each id in the truth.
        turned: Whether the image's EXIF tag turns it.
        jpeg_mask: Whether the mask is a JPEG file.
        resized_mask: Whether the mask is of another size than the image.
        thumbnail: `(16, 16) float32` gray image of zero mean; `None` if images were not read.
        evidence: Whether mask and image lie on each other; `None` if they were not compared.
    """

    split: str
    sample: Sample
    problem: str = ""
    size: tuple[int, int] = (0, 0)
    pixels: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(256, np.int64))
    turned: bool = False
    jpeg_mask: bool = False
    resized_mask: bool = False
    thumbnail: np.ndarray | None = None
    evidence: Evidence | None = None


def examine(split: str, sample: Sample, *, quick: bool, align: bool) -> Facts:
    """Looks at a sample.

    Args:
        split: Its split.
        sample: The sample.
        quick: Of the image only its header is read.
        align: Compare the edges of mask and image, which needs the whole image.
    """
    try:
        size, turned = _header(sample.image)
        truth = sample.read_mask(size)
        gray = None if quick else _small(sample.image)
        image = sample.read_image() if align and not quick else None
        mask_size, jpeg = _mask_header(sample.mask)
    except (DatasetError, ImageError) as error:
        return Facts(split, sample, problem=str(error))
    return Facts(
        split,
        sample,
        size=size,
        pixels=np.bincount(truth.ravel(), minlength=256),
        turned=turned,
        jpeg_mask=jpeg,
        resized_mask=mask_size not in (None, size),
        thumbnail=gray,
        evidence=None if image is None else edge_evidence(image, truth),
    )


def _header(path: Path) -> tuple[tuple[int, int], bool]:
    """`(height, width)` of the upright image, and whether its tag turns it."""
    require_file(path)
    try:
        with _opened(path) as image:
            orientation = _orientation(image)
            width, height = image.size
    except DECODE_ERRORS as error:
        raise DatasetError(
            f"{path} cannot be read ({' '.join(str(error).split())}); "
            "mend it, or remove it and its mask."
        ) from error
    return ((width, height) if orientation in TURNED else (height, width)), orientation in range(
        2, 9
    )


def _orientation(image: Any) -> int:
    """The EXIF tag; of a PNG only from its header: Pillow decodes it for more."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    return int(image.getexif().get(EXIF_ORIENTATION, 1))


def _small(path: Path) -> np.ndarray:
    """`(16, 16) float32` gray, zero mean. JPEGs are decoded at an eighth of their size."""
    try:
        with _opened(path) as image:
            image.draft("L", (8 * THUMBNAIL, 8 * THUMBNAIL))
            gray = np.asarray(image.convert("L"))
    except DECODE_ERRORS as error:
        raise DatasetError(
            f"{path} is damaged ({error}); copy it again, or remove it and its mask."
        ) from error
    small = cv2.resize(gray, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return (small - small.mean()).astype(np.float32)


def _mask_header(path: Path) -> tuple[tuple[int, int] | None, bool]:
    """`(height, width)` of a mask that is an image, and whether it is a JPEG."""
    if path.suffix.lower() not in IMAGE_EXTENSIONS:
        return None, False
    with _opened(path) as image:
        return image.size[::-1], image.format == "JPEG"


def _opened(path: Path) -> Any:
    from PIL import Image  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged EXIF, and of sizes
        return Image.open(path)
