"""`Segmentation`: what an image gives, and what everything else takes."""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from easyseg.errors import InputError
from easyseg.io.atomic import write_bytes
from easyseg.results.label_set import Classes, LabelSet
from easyseg.results.logit_grid import LogitGrid
from easyseg.results.outputs import coco, geojson, labelme, polygons
from easyseg.results.outputs.render import check_output, draw, encode

__all__ = ["Classes", "Segmentation", "check_output"]

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Segmentation:
    """The classes of an image's pixels.

    Attributes:
        labels: `(H, W) uint8` (uint16 above 256 classes), ids at the image's own size.
        label_set: Names and colors of the ids.
        image: `(H, W, 3) uint8 RGB`, the image as it was segmented.
        speed: Milliseconds spent in "preprocess", "inference" and "postprocess".
        grid: The network's logits and where the pixels lie on them; `None` where there are none.
        source: Path or address of the image; `None` if it came as pixels or bytes.
        timestamp: Seconds from the start of the video; `None` for an image.
    """

    labels: np.ndarray
    label_set: LabelSet
    image: np.ndarray
    speed: Mapping[str, float] = dataclasses.field(default_factory=dict)
    grid: LogitGrid | None = None
    source: str | None = None
    timestamp: float | None = None

    @functools.cached_property
    def _areas(self) -> list[tuple[int, int]]:
        present = [(i, n) for i, n in enumerate(_counts(self.labels)) if n]
        return sorted(present, key=lambda pair: -pair[1])

    @property
    def class_ids(self) -> list[int]:
        """Ids that occur, the largest area first."""
        return [class_id for class_id, _ in self._areas]

    @property
    def class_names(self) -> list[str]:
        """Names of `class_ids`, in the same order."""
        return [self.label_set.name_of(class_id) for class_id in self.class_ids]

    @property
    def ratios(self) -> list[float]:
        """Fraction of the image of each of `class_ids`, 0 to 1."""
        return [area / self.labels.size for _, area in self._areas]

    @property
    def masks(self) -> Mapping[str, np.ndarray]:
        """`{name: (H, W) bool}` for each of `class_names`; a mask is made when it is asked for."""
        return _Masks(self)

    @functools.cached_property
    def confidence(self) -> np.ndarray:
        """`(H, W) float32`, 0 to 1: the softmax probability of the winning class.

        Raises:
            InputError: The labels did not come from a network.
        """
        if self.grid is None:
            raise InputError("this segmentation has no logits, so it has no confidence.")
        return self.grid.confidence()

    def probability(self, classes: Classes) -> np.ndarray:
        """How probable it is that a pixel is one of the classes.

        Args:
            classes: Names, aliases or ids.

        Returns:
            `(H, W) float32`, 0 to 1: the sum of their softmax probabilities; where the labels
            did not come from a network, 1 for pixels with these labels and 0 for others.
        """
        ids = self.label_set.ids_of(classes)
        if self.grid is None:
            return np.isin(self.labels, ids).astype(np.float32)
        return self.grid.probability(ids)

    def filter(self, classes: Classes) -> Segmentation:
        """The same image with only these classes; other pixels become the label set's `void`.

        Args:
            classes: Names, aliases or ids.

        Raises:
            UnknownNameError: The model has no such class; says what is nearest.
        """
        ids = self.label_set.ids_of(classes)
        void = self.label_set.void
        most = max(int(self.labels.max(initial=0)), void, *ids)
        table = np.full(most + 1, void, self.labels.dtype)
        table[list(ids)] = ids
        return dataclasses.replace(self, labels=table[self.labels])

    def plot(
        self,
        kind: str = "overlay",
        *,
        alpha: float = 0.6,
        classes: Classes | None = None,
        legend: bool = False,
    ) -> np.ndarray:
        """Draws the result.

        Args:
            kind: "overlay", "color", "contour" (borders), "side_by_side" (image and overlay),
                "confidence" (heat map, for all classes), "mask" (the ids, in their colors) or
                "cutout" (on white).
            alpha: How much of the class color covers the image in an overlay, 0 to 1.
            classes: Only these classes.
            legend: Explains the colors in the lower left corner.

        Returns:
            `(H, W, 3) uint8 RGB`; `(H, 2 W, 3)` side by side.

        Raises:
            InputError: `alpha` is outside 0 to 1, the kind is a document, or it needs the logits
                of a network, which are not there.
            UnknownNameError: No such kind or class.
        """
        check_output(None, kind, alpha=alpha)
        shown = self if classes is None else self.filter(classes)
        return draw(shown, kind, alpha=alpha, legend=legend)

    def save(
        self,
        path: str | os.PathLike[str],
        kind: str = "overlay",
        *,
        alpha: float = 0.6,
        classes: Classes | None = None,
        legend: bool = False,
    ) -> Path:
        """Writes the result as an image or document, whole or not at all; arguments as in `plot`.

        A "mask" keeps the ids as pixel values and needs a lossless format: .png or .tif. Masks
        and cut-outs are data and get no legend. The documents are "polygons", "coco" and
        "labelme" (.json), "geojson" (.geojson or .json) and "npz" (labels, names, colors and
        confidence); they leave the label set's void out, but for "npz".

        Returns:
            The path.

        Raises:
            OutputError: Unknown or lossy ending, no permission, disk full.
        """
        path = Path(path)
        check_output(path, kind, alpha=alpha)
        shown = self if classes is None else self.filter(classes)
        write_bytes(path, encode(shown, kind, path, alpha=alpha, legend=legend))
        return path

    def show(self, kind: str = "overlay", *, alpha: float = 0.6, legend: bool = True) -> None:
        """Shows the image: in the notebook if there is one, else in the system's viewer."""
        from PIL import Image, ImageShow  # noqa: PLC0415

        image = Image.fromarray(self.plot(kind, alpha=alpha, legend=legend))
        if _in_notebook():
            from IPython.display import display  # noqa: PLC0415

            display(image)
        elif not ImageShow.show(image):
            log.warning("there is no viewer to show the image; use save('result.png').")

    def to_dict(self, *, masks: bool = False) -> dict[str, Any]:
        """The result as plain values, with PixelLib's keys.

        Args:
            masks: Adds "masks", a list of `(H, W) bool` arrays in the order of "class_ids";
                without it the values fit into JSON.

        Returns:
            "width", "height", "class_ids", "class_names", "class_colors" (RGB), "ratios" (percent,
            unlike `Segmentation.ratios`).
        """
        height, width = self.labels.shape
        values: dict[str, Any] = {
            "width": width,
            "height": height,
            "class_ids": self.class_ids,
            "class_names": self.class_names,
            "class_colors": [self.label_set.colors[i].tolist() for i in self.class_ids],
            "ratios": [100 * area / self.labels.size for _, area in self._areas],
        }
        if masks:
            values["masks"] = [self.labels == i for i in self.class_ids]
        return values

    def to_polygons(self, *, tolerance: float = 0.0) -> dict[str, Any]:
        """The outlines of the classes, without the label set's void, as plain values.

        Points are corners of pixels: the pixel in row y and column x reaches from (x, y) to
        (x + 1, y + 1), so that filling the polygons gives the masks back exactly.

        Args:
            tolerance: Pixels by which an outline may err, to have fewer points. 0 is exact.

        Returns:
            "width", "height" and "classes", a list with "id", "name", "color" (RGB) and
            "polygons", each with "exterior" `[[x, y], ...]` and "holes", a list of such rings.

        Raises:
            InputError: `tolerance` is negative.
        """
        return polygons.to_polygons(self, tolerance=tolerance)

    def to_geojson(self, *, tolerance: float = 0.0) -> dict[str, Any]:
        """A FeatureCollection (RFC 7946) with one MultiPolygon per class, else as `to_polygons`.

        Coordinates are pixels with y downwards, not degrees. Rings are closed; by their numbers
        exteriors run counterclockwise and holes clockwise.
        """
        return geojson.to_geojson(self, tolerance=tolerance)

    def to_labelme(
        self, *, tolerance: float = 0.0, image_path: str | None = None
    ) -> dict[str, Any]:
        """What the annotation tool labelme opens, else as `to_polygons`.

        labelme knows no holes: a slit of no width leads from the outline to each.

        Args:
            tolerance: As in `to_polygons`; 1 or 2 leaves outlines that can be edited by hand.
            image_path: Where the image lies, seen from the document; by default its file name.
        """
        return labelme.to_labelme(self, tolerance=tolerance, image_path=image_path)

    def to_coco(self, *, image_id: int = 1, first_id: int = 1) -> dict[str, Any]:
        """A COCO data set of this image, one annotation per class, as in COCO-Stuff.

        Args:
            image_id: Number of the image.
            first_id: Number of its first annotation.

        Returns:
            "images", "categories" (all classes, with the label set's ids, without its void) and
            "annotations" with "segmentation" (compressed RLE), "bbox", "area" and "iscrowd" (0).
        """
        return coco.to_coco(self, image_id=image_id, first_id=first_id)

    def __repr__(self) -> str:
        height, width = self.labels.shape
        found = ", ".join(
            f"{n} {100 * r:.1f} %" for n, r in zip(self.class_names, self.ratios, strict=True)
        )
        return f"<Segmentation {width}x{height}: {found}>"


class _Masks(Mapping[str, np.ndarray]):
    def __init__(self, result: Segmentation) -> None:
        self._result = result
        self._ids = dict(zip(result.class_names, result.class_ids, strict=True))

    def __getitem__(self, name: str) -> np.ndarray:
        return self._result.labels == self._ids[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def _counts(labels: np.ndarray) -> list[int]:
    """How many pixels each id has."""
    if labels.dtype != np.uint8:
        return np.bincount(labels.ravel()).tolist()
    stripes = (labels[i : i + 256] for i in range(0, len(labels), 256))  # OpenCV counts in float32
    found = [cv2.calcHist([np.ascontiguousarray(s)], [0], None, [256], [0, 256]) for s in stripes]
    return np.sum(found, axis=0, dtype=np.int64).ravel().tolist()


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this (not a plain IPython prompt)."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")
