"""The report of a training run or an evaluation: charts, contact sheets, and a page that shows all.

report.html            one page, which needs no other file
scores.json            all metrics
curves.png             loss and validation metrics by epoch, of a training run
confusion_matrix.png   what each class was predicted as
per_class_iou.png      a bar for each class
samples.png            image, ground truth, prediction and errors
worst/                 the same of each of the images with the lowest mean IoU
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from easyseg._keras import backend
from easyseg.datasets.base import IGNORE, Sample
from easyseg.evaluation.class_mapping import ClassMapping
from easyseg.evaluation.report.charts import confusion_chart, curves, iou_chart
from easyseg.evaluation.report.html import Figure, page
from easyseg.evaluation.scores import ImageScore, Scores
from easyseg.inference.predictor import Predictor
from easyseg.io.atomic import output_errors, write_bytes
from easyseg.io.write_image import encode_image
from easyseg.results.contact_sheet import Comparison, comparison_sheet
from easyseg.results.segmentation import Segmentation
from easyseg.utils.files import real_path

__all__ = ["write_report"]

SAMPLES = 6  # rows of the sheet
WORST = 8
NOT_IN_FILE_NAMES = r"[^A-Za-z0-9._-]+"


def write_report(
    folder: Path,
    *,
    scores: Scores,
    samples: Sequence[Sample],
    predictor: Predictor,
    model: str = "",
    data: str = "",
    command: str = "",
    notes: Sequence[str] = (),
    history: Sequence[Mapping[str, Any]] = (),
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Writes the report of an evaluation into a folder, which may be a training run's.

    Files of an earlier report are replaced; others are left alone.

    Args:
        folder: Where to.
        scores: The result of `evaluate` on `samples`.
        samples: Images with ground truth; those that are shown are segmented again.
        predictor: The model and its inference options.
        model: Its name, for the page.
        data: Which data the samples are, for the page.
        command: The command that repeats the evaluation, for the page.
        notes: Sentences for the page, such as those of the data set.
        history: Of a training run, an entry for each epoch, as `curves` takes it.
        settings: Of a training run, values or nested mappings of them, for the page.

    Returns:
        The path of `report.html`.

    Raises:
        OutputError: A file cannot be written; those written before stay whole.
        ImageError: An image cannot be read.
        DatasetError: A mask cannot be read.
    """
    charts = _charts(scores, history) | _images(scores, samples, predictor)
    with output_errors(folder):
        for old in folder.glob("worst/[0-9][0-9]_*.png"):
            old.unlink()
    for figure in (figure for figures in charts.values() for figure in figures):
        write_bytes(folder / figure.name, figure.content)
    # a name that is no UTF-8 becomes an escape, which JSON has too
    values = json.dumps(scores.to_dict(), ensure_ascii=False) + "\n"
    write_bytes(folder / "scores.json", values.encode("utf-8", "backslashreplace"))
    count = f"{len(scores.images)} images"
    facts = {
        "data": f"{data} ({count})" if data else count,
        "classes": f"{len(scores.label_set)} of {scores.label_set.name!r}",
        "ignored pixels": f"{scores.ignored:.2%}",
        "model": model,
        "inference": _inference_options(predictor),
        "command": command,
        "written": dt.datetime.now().astimezone().isoformat(" ", "minutes"),
    }
    html = page(
        f"Report: {model or real_path(folder).name}",
        scores,
        facts=[(key, value) for key, value in facts.items() if value],
        notes=[*notes, *scores.class_mapping.notes],
        charts=charts,
        settings=list(_flatten(settings or {})),
        versions=_versions(),
    )
    path = folder / "report.html"
    write_bytes(path, html.encode("utf-8", "backslashreplace"))
    return path


def _charts(scores: Scores, history: Sequence[Mapping[str, Any]]) -> dict[str, list[Figure]]:
    """Charts of the metrics and of the training history."""
    charts: dict[str, list[Figure]] = {"Training": [], "Classes in charts": []}
    if history:
        caption = "Loss and validation metrics by epoch; dotted lines separate the phases."
        charts["Training"].append(Figure("curves.png", curves(history), caption))
    if not np.isnan(scores.mean_iou):
        caption = "What the pixels of each true class were predicted as, in percent."
        charts["Classes in charts"] += [
            Figure("per_class_iou.png", iou_chart(scores), "IoU of each class that occurs."),
            Figure("confusion_matrix.png", confusion_chart(scores), caption, large=True),
        ]
    return charts


def _images(
    scores: Scores, samples: Sequence[Sample], predictor: Predictor
) -> dict[str, list[Figure]]:
    """Contact sheets of some images and of the worst, which are segmented again."""
    by_name = {sample.name: sample for sample in samples}
    indices = np.linspace(0, len(scores.images) - 1, min(SAMPLES, len(scores.images))).round()
    spread = [scores.images[int(i)] for i in indices if scores.images[int(i)].name in by_name]
    worst = [image for image in scores.worst(WORST) if image.name in by_name]
    shown = {image.name: image for image in [*spread, *worst]}
    results = predictor(by_name[name].read_image() for name in shown)
    rows = {
        image.name: _row(image, by_name[image.name], result, scores.class_mapping)
        for image, result in zip(shown.values(), results, strict=True)
    }
    sheets = []
    if spread:
        several = [rows[image.name] for image in spread]
        sheets.append(_sheet("samples.png", several, scores, "Spread evenly over the samples."))
    return {
        "Images": sheets,
        "The worst images": [
            _sheet(
                f"worst/{rank:02}_{re.sub(NOT_IN_FILE_NAMES, '_', image.name)[-60:]}.png",
                [rows[image.name]],
                scores,
                f"{rank}. {rows[image.name].title}",
            )
            for rank, image in enumerate(worst, 1)
        ],
    }


def _row(
    image: ImageScore, sample: Sample, result: Segmentation, class_mapping: ClassMapping
) -> Comparison:
    ground_truth = class_mapping.map_ground_truth(sample.read_mask(result.labels.shape))
    title = f"{image.name}: mean IoU {image.mean_iou:.3f}, accuracy {image.pixel_accuracy:.3f}"
    return Comparison(
        title, result.image, ground_truth, class_mapping.map_prediction(result.labels)
    )


def _sheet(name: str, rows: Sequence[Comparison], scores: Scores, caption: str) -> Figure:
    image = comparison_sheet(rows, scores.label_set, ignore_index=IGNORE)
    small = encode_image(image, ".jpg")  # a quarter of the bytes, for the page
    return Figure(name, encode_image(image, ".png"), caption, inline=small)


def _inference_options(predictor: Predictor) -> str:
    """The inference options in words."""
    height, width = predictor.input_size
    parts = [f"{'tiles' if predictor.tile else 'input'} of {height}x{width} pixels"]
    if predictor.options.scales != (1.0,):
        parts.append(f"scales {', '.join(f'{scale:g}' for scale in predictor.options.scales)}")
    return ", ".join(parts + ["mirror image"] * predictor.options.flip)


def _versions() -> list[tuple[str, str]]:
    names = ["easyseg", "keras", backend(), "numpy", "opencv-python-headless"]
    predicted = [("python", platform.python_version())]
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            predicted.append((name, metadata.version(name)))
    return predicted


def _flatten(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """`("training.loss", "dice")`, in the order of the mappings."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", "" if value is None else str(value)
