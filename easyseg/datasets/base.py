"""`Dataset` and `Sample`: what every reader of a data set gives, whatever the files look like."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from easyseg.errors import InputError
from easyseg.io.read_image import read_image
from easyseg.results.label_set import LabelSet

__all__ = ["IGNORE", "SPLITS", "Dataset", "Sample"]

SPLITS = ("train", "val", "test")
IGNORE = 255  # in every `truth()`: pixels that do not count


@dataclasses.dataclass(frozen=True)
class Sample:
    """An image and its truth, read when asked for.

    Args:
        name: Unique within its split, for messages and file names.
        image: The image.
        mask: The file that holds its truth (image, text or JSON), for messages.
        mask_reader: Gives the truth for an image of `(height, width)` pixels.
    """

    name: str
    image: Path
    mask: Path
    mask_reader: Callable[[tuple[int, int]], np.ndarray] = dataclasses.field(repr=False)

    def read_image(self) -> np.ndarray:
        """`(H, W, 3) uint8 RGB`.

        Raises:
            ImageError: The file cannot be read.
        """
        return read_image(self.image)

    def read_mask(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """`(H, W) uint8` class ids, of which there are 255 at most; `IGNORE` does not count.

        Args:
            size: `(height, width)` of the image, if it is known; else the image is opened for it.

        Raises:
            DatasetError: The truth cannot be read, or breaks a rule; names the file and the cure.
        """
        return self.mask_reader(self.read_image().shape[:2] if size is None else size)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Samples by split, and the classes that they show.

    Args:
        name: Name of the folder or file.
        format: The row of the format table that read it.
        label_set: Its classes; ids in `Sample.truth` are channels of this set.
        splits: Samples of "train", "val" and "test", as far as there are any.
        notes: What the reader assumed, merged or left out, in sentences.
        unlabelled: Images that have no truth; they are in no split.
        orphans: Masks without an image.
    """

    name: str
    format: str
    label_set: LabelSet
    splits: Mapping[str, Sequence[Sample]]
    notes: tuple[str, ...] = ()
    unlabelled: tuple[Path, ...] = ()
    orphans: tuple[Path, ...] = ()

    def split(self, name: str) -> Sequence[Sample]:
        """The samples of a split.

        Raises:
            InputError: There is no such split; says which there are.
        """
        if not self.splits.get(name):
            have = ", ".join(f"{key} ({len(rows)})" for key, rows in self.splits.items() if rows)
            raise InputError(f"data set {self.name!r} has no split {name!r}; it has {have}.")
        return self.splits[name]
