"""`Dataset` and `Sample`: what every format is read into."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from easyseg.datasets.options import DatasetOptions
from easyseg.errors import ImageError, InputError, UnreadableImageError
from easyseg.io.read_image import read_image
from easyseg.results.label_set import LabelSet

SPLITS = ("train", "val", "test")
ALL = "all"  # the samples of all splits
IGNORE = 255  # in every mask: ignored pixels


@dataclasses.dataclass(frozen=True)
class Sample:
    """An image and its mask; both are read on demand.

    Args:
        name: Unique within its split, for messages and file names.
        image: The image file.
        mask: The file that holds the mask (image, text or JSON), for messages.
        mask_reader: Returns the mask for an image of `(height, width)` pixels.
        embedded_image: Returns the bytes of the image file, if `image` only contains them.
        max_pixels: As in `read_image`, of the image.
    """

    name: str
    image: Path
    mask: Path
    mask_reader: Callable[[tuple[int, int]], np.ndarray] = dataclasses.field(repr=False)
    embedded_image: Callable[[], bytes] | None = dataclasses.field(default=None, repr=False)
    max_pixels: int | None = None

    def image_source(self) -> Path | bytes:
        """The image file, or its bytes where it is embedded in another file.

        Raises:
            DatasetError: The other file cannot be read.
        """
        return self.image if self.embedded_image is None else self.embedded_image()

    def read_image(self) -> np.ndarray:
        """`(H, W, 3) uint8 RGB`.

        Raises:
            ImageError: The file cannot be read.
            DatasetError: The file that embeds it cannot be read.
        """
        try:
            return read_image(self.image_source(), max_pixels=self.max_pixels)
        except ImageError as error:
            if self.embedded_image is None:
                raise
            raise UnreadableImageError(f"{self.image}: {error}") from error

    def read_mask(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """`(H, W) uint8` class ids, 0 to 254; `IGNORE` (255) where pixels are ignored.

        Args:
            size: `(height, width)` of the image, if known; otherwise the image is read for it.

        Raises:
            DatasetError: The mask cannot be read, or breaks a rule; names the file and the cure.
        """
        return self.mask_reader(self.read_image().shape[:2] if size is None else size)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Samples by split, and their classes.

    Args:
        name: Name of the folder or file.
        format: The format it was read from.
        label_set: Its classes; ids in the masks are those of this set.
        splits: Samples of "train", "val" and "test", those that exist.
        notes: What the reader assumed, merged or left out, in sentences.
        warnings: Ambiguities and how to resolve them; shown by the check and by training.
        images_without_mask: Images that are in no split.
        masks_without_image: Masks that belong to no sample.
        has_own_splits: Whether the files say which split a sample is in.
        source: Path from which it can be opened again; `None` if there is none. Set it to `None` if
            you replace samples, because a training run resumes from it.
        options: How it was opened.
    """

    name: str
    format: str
    label_set: LabelSet
    splits: Mapping[str, Sequence[Sample]]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    images_without_mask: tuple[Path, ...] = ()
    masks_without_image: tuple[Path, ...] = ()
    has_own_splits: bool = True
    source: Path | None = None
    options: DatasetOptions = dataclasses.field(default_factory=DatasetOptions)

    @property
    def default_split(self) -> str:
        """What is evaluated by default: "val", or "all" where the files name no splits."""
        return "val" if self.has_own_splits else ALL

    def split(self, name: str | None = None) -> Sequence[Sample]:
        """The samples of a split.

        Args:
            name: "train", "val", "test", or "all" for every sample; `None` is `default_split`.

        Raises:
            InputError: There is no such split; lists those that exist.
        """
        name = self.default_split if name is None else name
        if name == ALL and any(self.splits.values()):
            return _all_samples(self.splits)
        if not self.splits.get(name):
            existing = [
                f"{key} ({len(samples)})" for key, samples in self.splits.items() if samples
            ]
            raise InputError(
                f"data set {self.name!r} has no split {name!r}; choose one of: "
                f"{', '.join([*existing, ALL])}."
            )
        return self.splits[name]


def _all_samples(splits: Mapping[str, Sequence[Sample]]) -> list[Sample]:
    """The samples of all splits; where names occur in several splits, with the split's name."""
    samples = [sample for part in splits.values() for sample in part]
    if len({sample.name for sample in samples}) == len(samples):
        return samples
    return [
        dataclasses.replace(sample, name=f"{split}/{sample.name}")
        for split, part in splits.items()
        for sample in part
    ]
