"""`Scores`: the metrics of a model on a set of images."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from easyseg.errors import InputError
from easyseg.evaluation.boundary import BoundaryScores
from easyseg.evaluation.class_mapping import IGNORE_ID, ClassMapping
from easyseg.evaluation.metrics import ConfusionMatrix
from easyseg.io.shards import Part
from easyseg.results.label_set import LabelSet

NAN = float("nan")


@dataclasses.dataclass(frozen=True)
class ImageScore:
    """The metrics of one image.

    Attributes:
        name: The sample's.
        mean_iou: Over the classes that occur in it, 0 to 1; NaN if all pixels are ignored.
        pixel_accuracy: 0 to 1; NaN if all pixels are ignored.
    """

    name: str
    mean_iou: float
    pixel_accuracy: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Scores:
    """Metrics from 0 to 1 over all pixels that are not ignored; NaN where undefined.

    Scores of parts of a data set add up: `whole = part_a + part_b`.

    Attributes:
        confusion: Pixel counts by (true class, predicted class).
        class_mapping: The data set's classes, and how the model's classes were mapped to them.
        images: Each image by itself, in the order of the samples.
        boundary: Boundary metrics; `None` if they were not computed.
        model: Name of the model; empty if it is not known, or differs between parts.
        data: Path or name of the data set, likewise.
        split: The split that was evaluated, likewise.
        part: Which images of a data set these are, if a shard of it was evaluated.
        settings: What the scores of a shard depend on beside its images, as plain values.
    """

    confusion: ConfusionMatrix
    class_mapping: ClassMapping
    images: tuple[ImageScore, ...]
    boundary: BoundaryScores | None = None
    model: str = ""
    data: str = ""
    split: str = ""
    part: Part | None = None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def zero(cls, classes: ClassMapping, *, boundary: bool) -> Scores:
        """The scores of no images."""
        count = len(classes.label_set)
        boundary_scores = BoundaryScores(count, ignore_index=IGNORE_ID) if boundary else None
        confusion = ConfusionMatrix(count, ignore_index=IGNORE_ID)
        return cls(confusion, classes, (), boundary_scores)

    @property
    def label_set(self) -> LabelSet:
        """The classes: row `i` of every array is `label_set.names[i]`."""
        return self.class_mapping.label_set

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union, `(classes,)`."""
        return self.confusion.iou

    @property
    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that occur in the ground truth or the prediction."""
        return self.confusion.mean_iou()

    @property
    def dice(self) -> np.ndarray:
        """Dice coefficient (F1), `(classes,)`."""
        return self.confusion.dice

    @property
    def mean_dice(self) -> float:
        """Mean of `dice`, as in `mean_iou`."""
        return self.confusion.mean_dice

    @property
    def pixel_accuracy(self) -> float:
        """Fraction of the pixels with the correct class."""
        return self.confusion.pixel_accuracy

    @property
    def mean_accuracy(self) -> float:
        """Mean over the classes of the fraction of their pixels with the correct class."""
        return self.confusion.mean_accuracy

    @property
    def ignored(self) -> float:
        """Fraction of all pixels that are ignored, which no metric accounts for."""
        return self.confusion.ignored_fraction

    @property
    def frequency_weighted_iou(self) -> float:
        """Mean of `iou`, weighted with the classes' pixels in the ground truth."""
        return self.confusion.frequency_weighted_iou

    @property
    def boundary_f(self) -> float:
        """Mean of the classes' boundary F; NaN if boundary metrics were not computed."""
        return NAN if self.boundary is None else self.boundary.mean_f

    @property
    def boundary_iou(self) -> float:
        """Mean of the classes' boundary IoU; NaN if boundary metrics were not computed."""
        return NAN if self.boundary is None else self.boundary.mean_iou

    def worst(self, count: int) -> list[ImageScore]:
        """The images with the lowest mean IoU, the worst first; ties by pixel accuracy."""
        counted = [image for image in self.images if not math.isnan(image.mean_iou)]
        return sorted(counted, key=lambda image: (image.mean_iou, image.pixel_accuracy))[:count]

    def __add__(self, other: Scores) -> Scores:
        if self.label_set.names != other.label_set.names:
            raise InputError(
                "cannot add scores of different classes; evaluate both with the same classes."
            )
        if (self.boundary is None) != (other.boundary is None):
            raise InputError(
                "cannot add scores with and without boundary metrics; give both the same boundary=."
            )
        boundary = None
        if self.boundary is not None and other.boundary is not None:
            boundary = self.boundary + other.boundary
        return Scores(
            self.confusion + other.confusion,
            self.class_mapping,
            self.images + other.images,
            boundary,
            self.model if self.model == other.model else "",
            self.data if self.data == other.data else "",
            self.split if self.split == other.split else "",
        )

    def rows(self) -> list[dict[str, Any]]:
        """Plain values for each class; an undefined metric is `None`."""
        columns = {
            "iou": self.iou,
            "dice": self.dice,
            "accuracy": self.confusion.recall,
            "precision": self.confusion.precision,
        }
        if self.boundary is not None:
            columns |= {"boundary_f": self.boundary.f, "boundary_iou": self.boundary.iou}
        pixels = self.confusion.true_pixels
        return [
            {"id": i, "name": name, "pixels": int(pixels[i])}
            | {key: _plain(values[i]) for key, values in columns.items()}
            for i, name in enumerate(self.label_set.names)
        ]

    def summary(self) -> dict[str, float]:
        """The metrics over all classes, by name."""
        names = ["mean_iou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou"]
        names += ["mean_dice"] + ["boundary_f", "boundary_iou"] * (self.boundary is not None)
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an undefined metric is `None`."""
        return {
            "model": self.model,
            "data": self.data,
            "split": self.split,
            "images": len(self.images),
            "ignored": self.ignored,
            **{name: _plain(value) for name, value in self.summary().items()},
            "label_set": self.label_set.name,
            "notes": list(self.class_mapping.notes),
            "classes": self.rows(),
            "confusion": self.confusion.counts.tolist(),
            "per_image": [
                {
                    "name": image.name,
                    "mean_iou": _plain(image.mean_iou),
                    "pixel_accuracy": _plain(image.pixel_accuracy),
                }
                for image in self.images
            ],
        }

    def __str__(self) -> str:
        """A table of the classes that occur, and the metrics over all of them."""
        rows = [row for row in self.rows() if row["iou"] is not None]
        keys = [key for key in self.rows()[0] if key not in {"id", "name", "pixels"}]
        names = [" ".join(row["name"].split()) for row in rows]
        width = max(map(len, ["class", *names]))
        heads = [f"{metric_name(key):>6}" for key in keys]
        lines = ["  ".join([f"{'class':{width}}", *heads, f"{'pixels':>12}"])]
        for name, row in zip(names, rows, strict=True):
            cells = [
                f"{'-' if row[key] is None else format(row[key], '.4f'):>{len(head)}}"
                for key, head in zip(keys, heads, strict=True)
            ]
            lines.append("  ".join([f"{name:{width}}", *cells, f"{row['pixels']:>12,}"]))
        absent = len(self.label_set) - len(rows)
        verb = "does" if absent == 1 else "do"
        lines += [f"{absent} of {len(self.label_set)} classes {verb} not occur."] * bool(absent)
        lines += ["", f"{len(self.images)} image{'s' * (len(self.images) != 1)}"]
        lines += [f"{metric_name(name):22}  {value:.4f}" for name, value in self.summary().items()]
        lines.append(f"{'ignored pixels':22}  {self.ignored:.4f}")
        return "\n".join([*lines, *self.class_mapping.notes])

    def __repr__(self) -> str:
        return (
            f"<Scores of {len(self.images)} images: mean IoU {self.mean_iou:.4f}, "
            f"pixel accuracy {self.pixel_accuracy:.4f}>"
        )


def metric_name(key: str) -> str:
    """A metric's name as people write it: "mean IoU" for `mean_iou`."""
    return {"boundary_f": "boundary F"}.get(key, key.replace("_", " ").replace("iou", "IoU"))


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
