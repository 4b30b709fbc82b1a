"""Scores of a model on images with ground truth."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sized

from tqdm import tqdm

from easyseg.datasets.base import IGNORE, Sample
from easyseg.errors import DatasetError, InputError
from easyseg.evaluation.boundary import BoundaryScores
from easyseg.evaluation.class_mapping import ClassMapping, map_classes
from easyseg.evaluation.metrics import ConfusionMatrix
from easyseg.evaluation.scores import ImageScore, Scores
from easyseg.inference.pipeline import run_pipeline
from easyseg.inference.predictor import Predictor
from easyseg.inference.types import PreparedImage, RawPrediction
from easyseg.results.label_set import LabelSet

__all__ = ["Scores", "evaluate"]


def evaluate(
    predictor: Predictor,
    samples: Iterable[Sample],
    *,
    label_set: LabelSet | None = None,
    class_map: Mapping[str, str | None] | None = None,
    boundary: bool = True,
    observe: Callable[[RawPrediction], None] | None = None,
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
        progress: Shows a bar.

    Raises:
        InputError: There are no samples, or the classes cannot be matched.
        ImageError: An image cannot be read.
        DatasetError: A mask cannot be read, or has an id that is none of the classes.
    """
    classes = map_classes(predictor.label_set, label_set or predictor.label_set, class_map)
    confusion = ConfusionMatrix(len(classes.label_set), ignore_index=IGNORE)
    boundary_scores = (
        BoundaryScores(len(classes.label_set), ignore_index=IGNORE) if boundary else None
    )
    images: list[ImageScore] = []
    total = len(samples) if isinstance(samples, Sized) else None

    def finish(prediction: RawPrediction) -> tuple[Scores, RawPrediction | None]:
        scores = _score(prediction, classes, boundary=boundary)
        return scores, None if observe is None else prediction

    outcomes = run_pipeline(predictor, samples, lambda sample: _read(predictor, sample), finish)
    with (
        contextlib.closing(outcomes),
        tqdm(total=total, unit="image", disable=not progress) as bar,
    ):
        for outcome in outcomes:
            image, prediction = outcome.get()
            if observe is not None and prediction is not None:
                observe(prediction)
            confusion = confusion + image.confusion
            if boundary_scores is not None and image.boundary is not None:
                boundary_scores = boundary_scores + image.boundary
            images += image.images
            bar.update()
    if not images:
        raise InputError("there are no samples to evaluate; give a data set with images and masks.")
    return Scores(confusion, classes, tuple(images), boundary_scores)


def _read(predictor: Predictor, sample: Sample) -> PreparedImage:
    image = sample.read_image()
    return predictor.prepare(image, item=(sample, sample.read_mask(image.shape[:2])))


def _score(prediction: RawPrediction, classes: ClassMapping, *, boundary: bool) -> Scores:
    """The scores of one image."""
    sample, mask = prediction.item
    ground_truth = classes.map_ground_truth(mask)
    predicted = classes.map_prediction(prediction.finish().labels)
    confusion = ConfusionMatrix(len(classes.label_set), ignore_index=IGNORE)
    try:
        confusion.update(ground_truth, predicted)
    except InputError as error:
        raise DatasetError(f"{sample.mask}: {error}") from error
    boundary_scores = None
    if boundary:
        boundary_scores = BoundaryScores(len(classes.label_set), ignore_index=IGNORE)
        boundary_scores.update(ground_truth, predicted)
    image = ImageScore(sample.name, confusion.mean_iou(), confusion.pixel_accuracy)
    return Scores(confusion, classes, (image,), boundary_scores)
