"""Scores of a model on images with ground truth."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from pathlib import Path
from types import MappingProxyType
from typing import Any

from easyseg.datasets import Dataset, DatasetOptions, open_with_options
from easyseg.datasets.base import Sample
from easyseg.datasets.scan import MUCH_IGNORED
from easyseg.datasets.splits import with_validation_split
from easyseg.errors import DatasetError, InputError
from easyseg.evaluation.class_mapping import ClassMapping, map_classes
from easyseg.evaluation.scores import ImageScore, Scores
from easyseg.inference.pipeline import run_pipeline
from easyseg.inference.predictor import Predictor
from easyseg.inference.types import PreparedImage, RawPrediction
from easyseg.io.shards import Part, Shard, take_part
from easyseg.results.label_set import LabelSet
from easyseg.utils.progress import progress_bar

log = logging.getLogger(__name__)


def evaluate(
    predictor: Predictor,
    samples: Iterable[Sample],
    *,
    label_set: LabelSet | None = None,
    class_map: Mapping[str, str | None] | None = None,
    boundary: bool = True,
    observe: Callable[[RawPrediction], None] | None = None,
    part: Part | None = None,
    progress: bool = False,
) -> Scores:
    """Compares predicted labels with the ground truth, pixel by pixel at the images' own sizes.

    Images are read and scored while the network runs; only a few are held at a time.

    Args:
        predictor: The model and its inference options.
        samples: Images with ground truth; iterated once.
        label_set: The classes of the ground truth; by default the model's own. Others are matched
            by name (`map_classes`), and the scores are by the classes of the ground truth.
        class_map: Classes whose names differ, `{name in the data set: name in the model}`; `None`
            as the latter excludes a class, whose pixels are then ignored.
        boundary: Computes boundary metrics too.
        observe: Called with each prediction, in order; its `item` is the sample and its mask.
        part: Which samples of a data set these are; then there may be none.
        progress: Shows a bar.

    Raises:
        InputError: There are no samples, or the classes cannot be matched.
        ImageError: An image cannot be read.
        DatasetError: A mask cannot be read, or has an id that is none of the classes.
    """
    classes = map_classes(predictor.label_set, label_set or predictor.label_set, class_map)
    scores = Scores.zero(classes, boundary=boundary)
    total = len(samples) if isinstance(samples, Sized) else None

    def finish(prediction: RawPrediction) -> tuple[Scores, RawPrediction | None]:
        one = _score(prediction, classes, boundary=boundary)
        return one, None if observe is None else prediction

    outcomes = run_pipeline(predictor, samples, lambda sample: _read(predictor, sample), finish)
    with (
        contextlib.closing(outcomes),
        progress_bar(progress, total, "image") as bar,
    ):
        for outcome in outcomes:
            image, prediction = outcome.get()
            if observe is not None and prediction is not None:
                observe(prediction)
            scores += image
            bar.update()
    if not scores.images and part is None:
        raise InputError("there are no samples to evaluate; give a data set with images and masks.")
    return dataclasses.replace(scores, part=part)


def _read(predictor: Predictor, sample: Sample) -> PreparedImage:
    image = sample.read_image()
    return predictor.prepare(image, item=(sample, sample.read_mask(image.shape[:2])))


def _score(prediction: RawPrediction, classes: ClassMapping, *, boundary: bool) -> Scores:
    """The scores of one image."""
    sample, mask = prediction.item
    ground_truth = classes.map_ground_truth(mask)
    predicted = classes.map_prediction(prediction.finish().labels)
    scores = Scores.zero(classes, boundary=boundary)
    try:
        scores.confusion.update(ground_truth, predicted)
    except InputError as error:
        raise DatasetError(f"{sample.mask}: {error}") from error
    if scores.boundary is not None:
        scores.boundary.update(ground_truth, predicted)
    confusion = scores.confusion
    image = ImageScore(sample.name, confusion.mean_iou(), confusion.pixel_accuracy)
    return dataclasses.replace(scores, images=(image,))


def evaluate_dataset(
    predictor: Predictor,
    data: str | os.PathLike[str] | Dataset | Iterable[Sample],
    *,
    options: DatasetOptions,
    split: str | None,
    class_map: Mapping[str, str | None] | None,
    boundary: bool,
    report: Path | None,
    model: str,
    network: Mapping[str, str],
    progress: bool,
    shard: str | None = None,
    settings: Mapping[str, Any] = MappingProxyType({}),
    run: Mapping[str, Any] = MappingProxyType({}),
) -> Scores:
    """From a data set, or samples, to scores and a report: `SemanticSegmentation.evaluate`.

    `network` has the options of the command line with which the model was opened; `run` is what the
    report shows of a training run: `write_report`'s "history" and "settings". `settings` are what
    the scores of a shard depend on beside its images.
    """
    part_of_all = None if shard is None else Shard.parse(shard)
    if shard is not None and report is not None:
        raise InputError(
            "report= shows a whole data set; leave it out for a shard, whose scores are joined "
            "with the others'."
        )
    samples: Sequence[Sample]
    if isinstance(data, (str, os.PathLike, Dataset)):
        dataset = open_with_options(data, options)
        options = dataset.options
        source = str(dataset.source or dataset.name)
        split = split or dataset.default_split
        dataset = with_validation_split(dataset) if split == "val" else dataset
        samples, label_set = dataset.split(split), dataset.label_set
        notes = (*dataset.notes, *dataset.warnings)
    elif options.to_dict():
        raise InputError(
            f"{', '.join(options.to_dict())} cannot be chosen for samples; give a data set."
        )
    else:
        samples, label_set, notes, source = list(data), None, (), "samples"
        if not all(hasattr(sample, "read_mask") for sample in samples):
            raise InputError("expected samples of a data set, as dataset.split('val') gives them.")
        split = None
    part = None
    if part_of_all is not None:
        settings = {**settings, **options.to_dict(), "class_map": dict(class_map or {})}
        part = take_part([sample.name for sample in samples], part_of_all)
        samples = [samples[i] for i in part.positions]
    scores = evaluate(
        predictor,
        samples,
        label_set=label_set,
        class_map=class_map,
        boundary=boundary,
        part=part,
        progress=progress,
    )
    scores = dataclasses.replace(
        scores, model=model, data=source, split=split or "", settings=settings
    )
    if scores.ignored > MUCH_IGNORED:
        log.warning(
            "%.1f %% of the pixels are ignored, by the masks or because their class is excluded; "
            "nothing is measured there.",
            100 * scores.ignored,
        )
    if report is not None:
        from easyseg.evaluation.report import write_report  # noqa: PLC0415  (matplotlib)

        write_report(
            report,
            scores=scores,
            samples=samples,
            predictor=predictor,
            model=model,
            data=f"{source}, {split}" if label_set else source,
            command=_command(predictor, scores, options, class_map or {}, network),
            notes=notes,
            **run,
        )
    return scores


def _command(
    predictor: Predictor,
    scores: Scores,
    options: DatasetOptions,
    class_map: Mapping[str, str | None],
    network: Mapping[str, str],
) -> str:
    """The command line that computes the same scores."""
    words = ["easyseg", "evaluate", scores.data, "--model", scores.model, "--split", scores.split]
    for option, value in network.items():
        words += [f"--{option}", value]
    if predictor.tile:
        words += ["--tile", str(predictor.tile)]
    if predictor.options.scales != (1.0,):
        words += ["--scales", ",".join(f"{scale:g}" for scale in predictor.options.scales)]
    words += ["--flip"] * predictor.options.flip
    for name, value in options.to_dict().items():
        words += [f"--{name}", value if isinstance(value, str) else ",".join(map(str, value))]
    for theirs, ours in class_map.items():
        words += ["--class-map", f"{theirs}={ours or ''}"]
    return shlex.join(words)
