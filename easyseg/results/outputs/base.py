"""The table of outputs: what `kind=` may say."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple, Protocol

import numpy as np

from easyseg.results.label_set import LabelSet
from easyseg.results.outputs.legend import Row, class_rows
from easyseg.utils.registry import Registry

__all__ = [
    "OUTPUTS",
    "Document",
    "Output",
    "Segmented",
    "found_classes",
    "image_name",
    "to_json_text",
]


class Segmented(Protocol):
    """What an output is made from."""

    @property
    def labels(self) -> np.ndarray:
        """`(H, W)` ids."""

    @property
    def image(self) -> np.ndarray:
        """`(H, W, 3) uint8 RGB`."""

    @property
    def label_set(self) -> LabelSet:
        """Names and colors of the ids."""

    @property
    def source(self) -> str | None:
        """Path or address of the image, where it has one."""

    @property
    def class_ids(self) -> list[int]:
        """Ids that occur, the largest area first."""

    @property
    def ratios(self) -> list[float]:
        """Share of the image of each of `class_ids`, in percent."""

    @property
    def grid(self) -> Any:
        """The network's logits, or `None`."""

    @property
    def confidence(self) -> np.ndarray:
        """`(H, W) float32`, probability of the winning class; needs a grid."""

    def probability(self, classes: Any) -> np.ndarray:
        """`(H, W) float32`, that a pixel is one of the classes."""


class Output(NamedTuple):
    """A kind of image.

    Attributes:
        draw: From the segmentation and `alpha` to `(H, W, 3) uint8 RGB` or a `PIL.Image.Image`.
        suffixes: File endings that keep it intact; empty if any image format will do.
        legend: The rows that explain its colors.
        image: Whether the image's pixels are in it.
    """

    draw: Callable[[Segmented, float], Any]
    suffixes: tuple[str, ...] = ()
    legend: Callable[[Segmented], Sequence[Row]] = class_rows
    image: bool = True


class Document(NamedTuple):
    """A kind of document, which is no image.

    Attributes:
        write: From the segmentation, and the path that the document will have, to its bytes.
        suffixes: File endings that it may have.
        image: Whether the image's pixels are in it.
    """

    write: Callable[[Segmented, Path], bytes]
    suffixes: tuple[str, ...] = (".json",)
    image: bool = True


OUTPUTS: Registry[Output | Document] = Registry("kind of output")


def found_classes(result: Segmented) -> list[int]:
    """Ids of the classes that occur, the largest area first, without the label set's void."""
    classes = range(len(result.label_set))
    return [i for i in result.class_ids if i in classes and i != result.label_set.void]


def image_name(result: Segmented) -> str:
    """The image's file name; "image.jpg" if it came from no file."""
    return PurePath((result.source or "").partition("?")[0]).name or "image.jpg"


def to_json_text(values: Any) -> bytes:
    """The values as a JSON document in UTF-8."""
    return json.dumps(values, ensure_ascii=False, allow_nan=False).encode() + b"\n"
