"""Scores of a model on images with ground truth."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sized
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from easyseg.datasets.base import IGNORE, Sample
from easyseg.errors import DatasetError, InputError
from easyseg.evaluation.boundary import BoundaryScores
from easyseg.evaluation.class_mapping import ClassMapping, map_classes
from easyseg.evaluation.metrics import ConfusionMatrix
from easyseg.evaluation.scores import ImageScore, Scores
from easyseg.inference.predictor import Predictor
from easyseg.inference.types import RawPrediction
from easyseg.results.label_set import LabelSet
from easyseg.utils.concurrency import bounded_map

__all__ = ["Scores", "evaluate"]

PREFETCH = 4  # images that are read, and scored, while the network runs


def evaluate(
    predictor: Predictor,
    samples: Iterable[Sample],
    *,
    label_set: LabelSet | None = None,
    class_map: Mapping[str, str | None] | None = None,
    boundary: bool = True,
    batch_size: int | None = None,
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
        batch_size: Images that go through the network together; by default the predictor's.
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
    with (
        ThreadPoolExecutor(2, "easyseg-evaluate") as pool,
        tqdm(total=total, unit="image", disable=not progress) as bar,
    ):
        pairs = _forward(predictor, bounded_map(pool, _read, samples, PREFETCH), batch_size)
        scored = bounded_map(
            pool, lambda pair: _score(*pair, classes, boundary=boundary), pairs, PREFETCH
        )
        for image in scored:
            confusion = confusion + image.confusion
            if boundary_scores is not None and image.boundary is not None:
                boundary_scores = boundary_scores + image.boundary
            images += image.images
            bar.update()
    if not images:
        raise InputError("there are no samples to evaluate; give a data set with images and masks.")
    return Scores(confusion, classes, tuple(images), boundary_scores)


@dataclasses.dataclass(frozen=True)
class _Read:
    sample: Sample
    image: np.ndarray
    ground_truth: np.ndarray


def _read(sample: Sample) -> _Read:
    image = sample.read_image()
    return _Read(sample, image, sample.read_mask(image.shape[:2]))


def _forward(
    predictor: Predictor, read: Iterable[_Read], batch_size: int | None
) -> Iterator[tuple[_Read, RawPrediction]]:
    """Each sample with its raw prediction, in order."""
    waiting: deque[_Read] = deque()

    def images() -> Iterator[np.ndarray]:
        for item in read:
            waiting.append(item)
            yield item.image

    for raw in predictor.forward(images(), batch_size=batch_size):
        yield waiting.popleft(), raw


def _score(read: _Read, raw: RawPrediction, classes: ClassMapping, *, boundary: bool) -> Scores:
    """The scores of one image."""
    ground_truth, predicted = (
        classes.map_ground_truth(read.ground_truth),
        classes.map_prediction(raw.finish().labels),
    )
    confusion = ConfusionMatrix(len(classes.label_set), ignore_index=IGNORE)
    try:
        confusion.update(ground_truth, predicted)
    except InputError as error:
        raise DatasetError(f"{read.sample.mask}: {error}") from error
    boundary_scores = None
    if boundary:
        boundary_scores = BoundaryScores(len(classes.label_set), ignore_index=IGNORE)
        boundary_scores.update(ground_truth, predicted)
    image = ImageScore(read.sample.name, confusion.mean_iou(), confusion.pixel_accuracy)
    return Scores(confusion, classes, (image,), boundary_scores)
