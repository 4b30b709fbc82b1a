"""`Segmentation`: the result for an image."""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from easyseg.errors import InputError
from easyseg.io.atomic import write_bytes
from easyseg.results import frameworks, notebook
from easyseg.results.class_masks import ClassMasks
from easyseg.results.label_set import Classes, LabelSet
from easyseg.results.logit_grid import LogitGrid
from easyseg.results.outputs import coco, cvat, geojson, label_studio, labelme, polygons
from easyseg.results.outputs.render import draw, encode
from easyseg.results.outputs.spec import OutputSpec
from easyseg.utils.validation import checked

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Segmentation:
    """The classes of an image's pixels.

    Attributes:
        labels: `(H, W) uint8` (uint16 above 256 classes), class ids at the image's own size.
        label_set: Names and colors of the ids.
        image: `(H, W, 3) uint8 RGB`, the segmented image.
        speed: Milliseconds spent in "preprocess", "inference" and "postprocess".
        grid: The network's logits and the pixels' positions on them; `None` for labels that did not
            come from a network.
        source: Path or URL of the image; `None` if it came as pixels or bytes.
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
        """`{name: (H, W) bool}` for each of `class_names`; computed on access.

        A name, alias or id of a class that does not occur gives a mask of False everywhere; what is
        no class raises `UnknownNameError`, which is a `KeyError` too.
        """
        return ClassMasks(self)

    @functools.cached_property
    def confidence(self) -> np.ndarray:
        """`(H, W) float32`, 0 to 1: the softmax probability of the winning class.

        Raises:
            InputError: The labels did not come from a network.
        """
        if self.grid is None:
            raise InputError(
                "this segmentation has no confidence, because its labels did not come from a "
                "network; use the result of a model."
            )
        return self.grid.confidence()

    @checked
    def probability(self, classes: Classes) -> np.ndarray:
        """The probability that a pixel belongs to one of the classes.

        Args:
            classes: Names, aliases or ids.

        Returns:
            `(H, W) float32`, 0 to 1: the sum of their softmax probabilities; for labels that did
            not come from a network, 1 where the label is one of them and 0 elsewhere.

        Raises:
            UnknownNameError: No such class.
        """
        ids = self.label_set.ids_of(classes)
        if self.grid is None:
            return np.isin(self.labels, ids).astype(np.float32)
        return self.grid.probability(ids)

    @checked
    def filter(self, classes: Classes) -> Segmentation:
        """Only these classes; other pixels become the label set's `void`.

        Args:
            classes: Names, aliases or ids.

        Raises:
            UnknownNameError: No such class; suggests the nearest name.
        """
        ids = self.label_set.ids_of(classes)
        void = self.label_set.void
        largest = max(int(self.labels.max(initial=0)), void, *ids)
        table = np.full(largest + 1, void, self.labels.dtype)
        table[list(ids)] = ids
        return dataclasses.replace(self, labels=table[self.labels])

    @checked
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
            kind: "overlay", "color", "contour" (boundaries), "side_by_side" (image and overlay),
                "confidence" (heat map), "mask" (the ids, in their colors) or "cutout" (on white).
            alpha: Opacity of the class colors over the image in an overlay, 0 to 1.
            classes: Only these classes, by name or id.
            legend: Draws names and percentages (the color scale of "confidence") into the lower
                left corner.

        Returns:
            `(H, W, 3) uint8 RGB`; `(H, 2 W, 3)` side by side.

        Raises:
            InputError: An option breaks its rule, the kind is a document, or "confidence" is not
                available.
            UnknownNameError: No such kind or class.
        """
        spec = OutputSpec(kind, alpha, legend, classes)
        return draw(self._selected(spec), spec)

    @checked
    def save(
        self,
        path: os.PathLike[str] | str,
        kind: str = "overlay",
        *,
        alpha: float = 0.6,
        classes: Classes | None = None,
        legend: bool = False,
        tolerance: float = 0.0,
        min_area: int = 0,
    ) -> Path:
        """Writes the result as an image or document, completely or not at all.

        "mask" and "cutout" store exact values, so they need a lossless format (docs/outputs.md)
        and have no legend. The documents are "polygons", "coco", "labelme" and "label_studio"
        (.json), "geojson" (.geojson or .json), "cvat" (.xml) and "npz"; all but "npz" leave the
        label set's void out.

        Args:
            path: The file; its extension gives the format. Missing folders are created.
            kind: An image as in `plot`, or a document.
            alpha: As in `plot`, and so are `classes` and `legend`.
            classes: Only these classes.
            legend: Draws names and percentages.
            tolerance: Of polygons, labelme and GeoJSON: maximum error of the simplified outlines in
                pixels; 0 is exact.
            min_area: Of these, COCO, Label Studio and CVAT: leaves out regions, and fills holes, of
                fewer pixels.

        Returns:
            The path.

        Raises:
            InputError: As in `plot`, or the kind has no such option.
            OutputError: The extension cannot hold the kind, no permission, or the disk is full.
            UnknownNameError: No such kind or class.
        """
        path = Path(path)
        spec = OutputSpec(kind, alpha, legend, classes, tolerance, min_area)
        write_bytes(path, encode(self._selected(spec), spec, path))
        return path

    def _selected(self, spec: OutputSpec) -> Segmentation:
        return self if spec.classes is None else self.filter(spec.classes)

    @checked
    def show(self, kind: str = "overlay", *, alpha: float = 0.6, legend: bool = True) -> None:
        """Shows the image in the notebook, or else in the system's image viewer."""
        if not notebook.show_image(self.plot(kind, alpha=alpha, legend=legend)):
            log.warning("no image viewer found; save the image to a file instead.")

    @checked
    def to_dict(self, *, masks: bool = False) -> dict[str, Any]:
        """The result as plain values, with PixelLib's keys and units.

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

    @checked
    def to_polygons(self, *, tolerance: float = 0.0, min_area: int = 0) -> dict[str, Any]:
        """The outlines of the classes, without the label set's void, as plain values.

        Points are corners of pixels: the pixel in row y and column x reaches from (x, y) to
        (x + 1, y + 1), so that filling the polygons gives the masks back exactly.

        Args:
            tolerance: Maximum error of the simplified outlines in pixels; 0 is exact.
            min_area: Leaves out regions, and fills holes, of fewer pixels.

        Returns:
            "width", "height" and "classes", a list with "id", "name", "color" (RGB) and
            "polygons", each with "exterior" `[[x, y], ...]` and "holes", a list of such rings.

        Raises:
            InputError: `tolerance` or `min_area` is negative.
        """
        return polygons.to_polygons(self, tolerance=tolerance, min_area=min_area)

    @checked
    def to_geojson(self, *, tolerance: float = 0.0, min_area: int = 0) -> dict[str, Any]:
        """A FeatureCollection (RFC 7946) with one MultiPolygon per class, else as `to_polygons`.

        Coordinates are pixels with y downwards, not degrees. Rings are closed; in these
        coordinates exteriors run counterclockwise and holes clockwise.
        """
        return geojson.to_geojson(self, tolerance=tolerance, min_area=min_area)

    @checked
    def to_labelme(
        self, *, tolerance: float = 0.0, min_area: int = 0, image_path: str | None = None
    ) -> dict[str, Any]:
        """A document for the annotation tool labelme, else as `to_polygons`.

        labelme has no holes: a slit of zero width connects each to the outline.

        Args:
            tolerance: As in `to_polygons`; 1 or 2 gives outlines that can be edited by hand.
            min_area: As in `to_polygons`.
            image_path: Path of the image relative to the document; by default its file name.
        """
        return labelme.to_labelme(
            self, tolerance=tolerance, min_area=min_area, image_path=image_path
        )

    @checked
    def to_coco(self, *, image_id: int = 1, first_id: int = 1, min_area: int = 0) -> dict[str, Any]:
        """A COCO data set of this image, one annotation per class, as in COCO-Stuff.

        Args:
            image_id: Id of the image.
            first_id: Id of its first annotation.
            min_area: As in `to_polygons`.

        Returns:
            "images", "categories" (all classes, with the label set's ids, without its void) and
            "annotations" with "segmentation" (compressed RLE), "bbox", "area" and "iscrowd" (0).
        """
        return coco.to_coco(self, image_id=image_id, first_id=first_id, min_area=min_area)

    @checked
    def to_label_studio(
        self,
        *,
        image_url: str | None = None,
        field: str = "image",
        from_name: str = "tag",
        to_name: str = "image",
        min_area: int = 0,
    ) -> dict[str, Any]:
        """A task for Label Studio, with a brush mask for each class as a prediction.

        The defaults are those of its template "Semantic Segmentation with Masks". A project shows
        the masks whose labels it has.

        Args:
            image_url: Address of the image for Label Studio; by default that which the image came
                from, or else its file name in a local storage, "/data/local-files/?d=street.jpg".
            field: Of the task's data, where the address is: "image" for `value="$image"`.
            from_name: Name of the BrushLabels.
            to_name: Name of the Image.
            min_area: As in `to_polygons`.

        Returns:
            "data" and "predictions". Label Studio imports such a task, and lists of them.
        """
        return label_studio.to_label_studio(
            self,
            image_url=image_url,
            field=field,
            from_name=from_name,
            to_name=to_name,
            min_area=min_area,
        )

    @checked
    def to_cvat(
        self, *, image_path: str | None = None, image_id: int = 0, min_area: int = 0
    ) -> str:
        """An XML document "CVAT for images 1.1", with a mask for each class.

        Args:
            image_path: Name of the image in CVAT's task; by default its file name.
            image_id: Number of the image in the task, from 0; CVAT reads the name first.
            min_area: As in `to_polygons`.
        """
        return cvat.to_cvat(self, image_path=image_path, image_id=image_id, min_area=min_area)

    def to_dataframe(self) -> Any:
        """The areas as a `pandas.DataFrame`, a row for each class that occurs, the largest first.

        Returns:
            Columns "id", "name", "ratio" (fraction of the image, 0 to 1), "pixels" and "color"
            ("#rrggbb").

        Raises:
            InputError: pandas is not installed.
        """
        return frameworks.to_dataframe(self)

    @checked
    def to_supervision(self, *, regions: bool = False, min_area: int = 0) -> Any:
        """The classes as `supervision.Detections`, the largest first, without the label set's void.

        Args:
            regions: One detection for each connected region instead of one for each class.
            min_area: Leaves out regions, and fills holes, of fewer pixels.

        Returns:
            `xyxy` (n, 4) float32, corners of pixels as in `to_polygons`; `mask` (n, H, W) bool;
            `class_id`; and `data["class_name"]`.

        Raises:
            InputError: supervision is not installed, `min_area` is negative, or the masks would
                need more than 4 GiB.
        """
        return frameworks.to_supervision(self, regions=regions, min_area=min_area)

    def to_fiftyone(self) -> Any:
        """The ids as a `fiftyone.Segmentation`, for a field of a FiftyOne sample.

        FiftyOne reads the names from the data set:
        `dataset.default_mask_targets = dict(enumerate(result.label_set.names))`. It does not show
        id 0.

        Raises:
            InputError: FiftyOne is not installed.
        """
        return frameworks.to_fiftyone(self)

    def _repr_html_(self) -> str:
        """What a notebook shows of the result: its overlay, and its classes with their areas."""
        return notebook.to_html(self)

    def __repr__(self) -> str:
        height, width = self.labels.shape
        areas = ", ".join(
            f"{n} {100 * r:.1f} %" for n, r in zip(self.class_names, self.ratios, strict=True)
        )
        return f"<Segmentation {width}x{height}: {areas}>"


def _counts(labels: np.ndarray) -> list[int]:
    """Number of pixels of each id."""
    if labels.dtype != np.uint8:
        return np.bincount(labels.ravel()).tolist()
    stripes = (labels[i : i + 256] for i in range(0, len(labels), 256))  # OpenCV counts in float32
    counts = [cv2.calcHist([np.ascontiguousarray(s)], [0], None, [256], [0, 256]) for s in stripes]
    return np.sum(counts, axis=0, dtype=np.int64).ravel().tolist()
