"""Several models on one data set: where they differ."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from easyseg.datasets import Dataset, DatasetOptions, open_with_options
from easyseg.datasets.splits import with_validation_split
from easyseg.errors import InputError
from easyseg.evaluation.class_mapping import IGNORE_ID
from easyseg.evaluation.scores import Scores, metric_name
from easyseg.io.atomic import write_bytes
from easyseg.io.csv_table import write_csv
from easyseg.io.find_images import require_writable
from easyseg.io.write_image import encode_image
from easyseg.results.contact_sheet import Overlay, overlay_sheet
from easyseg.results.label_set import LabelSet
from easyseg.results.segmentation import Segmentation
from easyseg.utils.validation import checked

SHOWN = 8  # images of the contact sheet
KEYS = ("id", "name", "pixels")  # of a row, beside the models
LONGEST_NAME = 24  # characters of a model in a table


class Model(Protocol):
    """What is compared; `SemanticSegmentation` is one."""

    name: str

    def evaluate(self, data: Dataset, **options: Any) -> Scores:
        """The model's scores."""

    def segment_image(self, image: Any) -> Segmentation:
        """The model's result for an image."""


@dataclasses.dataclass(frozen=True)
class ImageDifference:
    """How differently models do on an image.

    Attributes:
        name: The sample's.
        mean_iou: Of each model, 0 to 1.
    """

    name: str
    mean_iou: Mapping[str, float]

    @property
    def difference(self) -> float:
        """Between the best and the worst, 0 to 1."""
        return max(self.mean_iou.values()) - min(self.mean_iou.values())


@dataclasses.dataclass(frozen=True)
class ModelComparison:
    """Several models on the same images, with the same classes.

    Attributes:
        scores: Of each model by its name; the others are compared with the first.
    """

    scores: Mapping[str, Scores]

    @property
    def models(self) -> list[str]:
        """Their names, the first the one that the others are compared with."""
        return list(self.scores)

    def rows(self) -> list[dict[str, Any]]:
        """The IoU of each class that occurs, by model, and how much it differs from the first's.

        Returns:
            Plain values: "id", "name", "pixels", a column for each model, and for each but the
            first one named "b - a"; `None` where undefined. In the order of the classes.
        """
        first, *others = self.models
        rows = []
        for entries in zip(*(scores.rows() for scores in self.scores.values()), strict=True):
            ious = {m: entry["iou"] for m, entry in zip(self.models, entries, strict=True)}
            if any(iou is not None for iou in ious.values()):
                changes = {f"{m} - {first}": _minus(ious[m], ious[first]) for m in others}
                same = {key: entries[0][key] for key in KEYS}
                rows.append({**same, **ious, **changes})
        return rows

    def differences(self, count: int | None = None) -> list[ImageDifference]:
        """The images, those first on which the models differ most in mean IoU.

        Args:
            count: How many; `None` for all.
        """
        every = zip(*(scores.images for scores in self.scores.values()), strict=True)
        images = [
            ImageDifference(
                image[0].name, {m: i.mean_iou for m, i in zip(self.models, image, strict=True)}
            )
            for image in every
            if not any(math.isnan(one.mean_iou) for one in image)
        ]
        return sorted(images, key=lambda image: -image.difference)[:count]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        first = self.scores[self.models[0]]
        return {
            "data": first.data,
            "split": first.split,
            "models": self.models,
            "metrics": {
                model: {k: None if math.isnan(v) else v for k, v in scores.summary().items()}
                for model, scores in self.scores.items()
            },
            "classes": self.rows(),
            "per_image": [
                {"name": image.name, "mean_iou": dict(image.mean_iou)}
                for image in self.differences()
            ],
        }

    def __str__(self) -> str:
        """Tables of the classes, those that differ most first, and of the metrics over all."""
        first, *others = self.models
        columns = [*self.models, *(f"{m} - {first}" for m in others)]
        rows = sorted(
            self.rows(), key=lambda row: -max(abs(row[c] or 0) for c in columns[-len(others) :])
        )
        table = [["class", *map(_short, columns)]]
        table += [
            [
                " ".join(row["name"].split()),
                *(_format(row[c], signed=c not in self.scores) for c in columns),
            ]
            for row in rows
        ]
        table.append(["", *[""] * len(columns)])
        for key in next(iter(self.scores.values())).summary():
            values = {m: scores.summary()[key] for m, scores in self.scores.items()}
            changes = [_format(values[m] - values[first], signed=True) for m in others]
            table.append([metric_name(key), *map(_format, values.values()), *changes])
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
            for line in table
        ]
        count = len(self.scores[first].images)
        return "\n".join([*lines, "", f"{count} image{'s' * (count != 1)}"])


@checked
def compare(
    models: Mapping[str, Any] | Sequence[Any],
    data: str | os.PathLike[str] | Dataset,
    *,
    format: str | None = None,  # noqa: A002  (as `open_dataset` has it)
    classes: Iterable[str] | LabelSet | None = None,
    ignore: Iterable[str | int] = (),
    strict: bool = False,
    split: str | None = None,
    class_map: Mapping[str, str | None] | None = None,
    boundary: bool = True,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> ModelComparison:
    """Measures several models on one data set and shows where they differ (docs/evaluation.md).

        small, large = SemanticSegmentation("mini"), SemanticSegmentation("xception65.voc")
        print(easyseg.compare([small, large], "my_folder", out="comparison"))

    Args:
        models: At least two `SemanticSegmentation`, in a list or by names of your own; the others
            are compared with the first.
        data: Folder or file of a data set, or a `Dataset`.
        format: As in `SemanticSegmentation.evaluate`, and so are the next six.
        classes: Classes of the data set to keep.
        ignore: Classes whose pixels are ignored.
        strict: Refuses files outside the data set's folder.
        split: Which images.
        class_map: Classes under another name in the models.
        boundary: Computes boundary metrics too.
        out: Folder for `comparison.json`, `classes.csv` and `differences.png`, a contact sheet of
            the images on which the models differ most.
        progress: Shows a bar for each model.

    Raises:
        InputError: There are fewer than two models, two have one name, the split is missing or
            empty, or the classes cannot be mapped.
        DatasetError: The data set or a mask cannot be read.
        ImageError: An image cannot be read.
        OutputError: The folder cannot be written.
    """
    named = _named(models)
    folder = None if out is None else Path(out)
    if folder is not None:
        require_writable(folder)
    dataset = open_with_options(data, DatasetOptions(format, classes, ignore, strict))
    split = split or dataset.default_split
    dataset = with_validation_split(dataset) if split == "val" else dataset
    options = {"split": split, "class_map": class_map, "boundary": boundary, "progress": progress}
    found = ModelComparison({m: seg.evaluate(dataset, **options) for m, seg in named.items()})
    if folder is not None:
        _write(folder, found, named, dataset.split(split))
    return found


def _named(models: Mapping[str, Model] | Sequence[Model]) -> dict[str, Model]:
    pairs = models.items() if isinstance(models, Mapping) else [(m.name, m) for m in models]
    named = dict(pairs)
    if len(named) < len(pairs):
        raise InputError(
            "two models have the same name; give them names: models={'a': one, 'b': other}."
        )
    if len(named) < 2:
        raise InputError(f"a comparison needs two models or more, got {len(named)}.")
    for name in KEYS:
        if name in named:
            raise InputError(f"a model cannot be called {name!r}; choose another name.")
    return named


def _write(
    folder: Path, found: ModelComparison, models: Mapping[str, Model], samples: Sequence[Any]
) -> None:
    content = json.dumps(found.to_dict(), ensure_ascii=False, indent=1)
    write_bytes(folder / "comparison.json", content.encode("utf-8", "backslashreplace") + b"\n")
    rows = found.rows()
    head = rows[0] if rows else KEYS
    write_csv(folder / "classes.csv", [head, *(row.values() for row in rows)])
    by_name = {sample.name: sample for sample in samples}
    most = [image for image in found.differences(SHOWN) if image.difference]
    tiles = [tile for image in most for tile in _tiles(image, by_name[image.name], found, models)]
    if tiles:
        label_set = found.scores[found.models[0]].label_set
        sheet = overlay_sheet(tiles, label_set, columns=1 + len(models), ignore_index=IGNORE_ID)
        write_bytes(folder / "differences.png", encode_image(sheet, ".png"))


def _tiles(
    image: ImageDifference, sample: Any, found: ModelComparison, models: Mapping[str, Model]
) -> list[Overlay]:
    """The ground truth and each model's prediction, in the data set's classes."""
    pixels = sample.read_image()
    mapping = found.scores[found.models[0]].class_mapping
    mask = mapping.map_ground_truth(sample.read_mask(pixels.shape[:2]))
    tiles = [Overlay(f"{image.name}: ground truth", pixels, mask)]
    for model, seg in models.items():
        labels = seg.segment_image(pixels).labels
        predicted = found.scores[model].class_mapping.map_prediction(labels)
        title = f"{_short(model)}: mean IoU {image.mean_iou[model]:.3f}"
        tiles.append(Overlay(title, pixels, np.where(mask == IGNORE_ID, mask, predicted)))
    return tiles


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _format(value: float | None, *, signed: bool = False) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:+.4f}" if signed else f"{value:.4f}"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"
