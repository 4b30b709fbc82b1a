"""The table of outputs, `OUTPUTS`: the values of `kind=`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple, Protocol

import numpy as np

from easyseg.results.label_set import LabelSet
from easyseg.results.polygon_tracing import Polygon, trace
from easyseg.results.regions import check_min_area, without_specks
from easyseg.utils.registry import Registry


class Segmented(Protocol):
    """What an output is made from; `Segmentation` is one."""

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
        """Path or URL of the image, where it has one."""

    @property
    def class_ids(self) -> list[int]:
        """Ids that occur, the largest area first."""

    @property
    def ratios(self) -> list[float]:
        """Fraction of the image of each of `class_ids`, 0 to 1."""

    @property
    def grid(self) -> Any:
        """The network's logits, or `None`."""

    @property
    def confidence(self) -> np.ndarray:
        """`(H, W) float32`, probability of the winning class; needs a grid."""

    def probability(self, classes: Any) -> np.ndarray:
        """`(H, W) float32`, that a pixel is one of the classes."""


LegendEntry = tuple[str, tuple[int, int, int]]
"""A line of a legend: its text and its RGB color."""

SMALLEST = 0.001  # fraction of the image from which a class is listed


def class_entries(result: Segmented) -> list[LegendEntry]:
    """Name, percentage and color of the predicted classes, the largest area first."""
    label_set = result.label_set
    return [
        (f"{label_set.name_of(i)} {100 * ratio:.1f} %", tuple(label_set.colors[i].tolist()))
        for i, ratio in zip(result.class_ids, result.ratios, strict=True)
        if i != label_set.void and ratio >= SMALLEST
    ]


class Output(NamedTuple):
    """A kind of image.

    Attributes:
        draw: From the segmentation and `alpha` to `(H, W, 3) uint8 RGB` or a `PIL.Image.Image`.
        suffixes: File extensions that store its values exactly; empty if any image format will do.
        legend: The entries that explain its colors.
        shows_classes: Whether it depends on the labels, so that `classes` changes it.
    """

    draw: Callable[[Segmented, float], Any]
    suffixes: tuple[str, ...] = ()
    legend: Callable[[Segmented], Sequence[LegendEntry]] = class_entries
    shows_classes: bool = True


class Document(NamedTuple):
    """A kind of document.

    Attributes:
        write: From the segmentation, the path that the document will have, and its `options` by
            name, to its bytes.
        suffixes: File extensions that it may have.
        shows_classes: Whether it depends on the labels.
        options: Fields of `OutputSpec` that it alone takes: "tolerance", "min_area".
    """

    write: Callable[..., bytes]
    suffixes: tuple[str, ...] = (".json",)
    shows_classes: bool = True
    options: tuple[str, ...] = ()


OUTPUTS: Registry[Output | Document] = Registry("kind of output")


def predicted_classes(result: Segmented) -> list[int]:
    """Ids of the predicted classes, the largest area first, without the label set's void."""
    classes = range(len(result.label_set))
    return [i for i in result.class_ids if i in classes and i != result.label_set.void]


def class_masks(result: Segmented, min_area: int) -> Iterator[tuple[int, np.ndarray]]:
    """Each predicted class with its mask `(H, W) bool` without specks, the largest area first."""
    check_min_area(min_area)
    for class_id in predicted_classes(result):
        mask = without_specks(result.labels == class_id, min_area)
        if min_area < 2 or mask.any():
            yield class_id, mask


def class_polygons(
    result: Segmented, tolerance: float, min_area: int
) -> Iterator[tuple[int, list[Polygon]]]:
    """Each predicted class with its outlines, the largest area first."""
    for class_id, mask in class_masks(result, min_area):
        yield class_id, trace(mask, tolerance=tolerance)


def image_name(result: Segmented) -> str:
    """The image's file name; "image.jpg" if it did not come from a file."""
    return PurePath((result.source or "").partition("?")[0]).name or "image.jpg"


def to_json_text(values: Any) -> bytes:
    """The values as a JSON document in UTF-8; escapes hold file names that are not UTF-8."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"
