"""How good a model is on images whose truth is known."""

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
from easyseg.utils.concurrency import ahead

__all__ = ["Scores", "evaluate"]

AHEAD = 4  # images that are read, and scored, beside the network


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
    """Compares what a model finds with the truth, pixel by pixel at the images' own sizes.

    Reading, and counting, go on beside the network; only a few images are held at a time.

    Args:
        predictor: The model, and how it sees images.
        samples: Images and their truths; drawn once.
        label_set: The classes of the truths; by default the model's own. Others are matched by
            name (`map_classes`), and the scores are by the classes of the truths.
        class_map: Classes whose names differ: `{name in the data set: name in the model}`, or `None`
            in place of the latter for pixels that shall not count.
        boundary: Measures borders too.
        batch_size: Images that go through the network together; by default the predictor's.
        progress: Shows a bar.

    Raises:
        InputError: There are no samples, or the classes cannot be matched.
        ImageError: An image cannot be read.
        DatasetError: A truth cannot be read, or breaks a rule.
    """
    classes = map_classes(predictor.label_set, label_set or predictor.label_set, class_map)
    confusion = ConfusionMatrix(len(classes.label_set), ignore_index=IGNORE)
    borders = BoundaryScores(len(classes.label_set), ignore_index=IGNORE) if boundary else None
    images: list[ImageScore] = []
    total = len(samples) if isinstance(samples, Sized) else None
    with (
        ThreadPoolExecutor(2, "easyseg-evaluate") as pool,
        tqdm(total=total, unit="image", disable=not progress) as bar,
    ):
        pairs = _forward(predictor, ahead(pool, _read, samples, AHEAD), batch_size)
        scored = ahead(pool, lambda pair: _score(*pair, classes, boundary=boundary), pairs, AHEAD)
        for image in scored:
            confusion = confusion + image.confusion
            if borders is not None and image.boundary is not None:
                borders = borders + image.boundary
            images += image.images
            bar.update()
    if not images:
        raise InputError("there are no samples to evaluate; give images with their truths.")
    return Scores(confusion, classes, tuple(images), borders)


@dataclasses.dataclass(frozen=True)
class _Read:
    sample: Sample
    image: np.ndarray
    truth: np.ndarray


def _read(sample: Sample) -> _Read:
    image = sample.read_image()
    return _Read(sample, image, sample.read_mask(image.shape[:2]))


def _forward(
    predictor: Predictor, read: Iterable[_Read], batch_size: int | None
) -> Iterator[tuple[_Read, RawPrediction]]:
    """Each sample with what the network says of it, in order."""
    waiting: deque[_Read] = deque()

    def images() -> Iterator[np.ndarray]:
        for item in read:
            waiting.append(item)
            yield item.image

    for forwarded in predictor.forward(images(), batch_size=batch_size):
        yield waiting.popleft(), forwarded


def _score(
    read: _Read, forwarded: RawPrediction, classes: ClassMapping, *, boundary: bool
) -> Scores:
    """The scores of one image."""
    truth, found = classes.true(read.truth), classes.found(forwarded.finish().labels)
    confusion = ConfusionMatrix(len(classes.label_set), ignore_index=IGNORE)
    try:
        confusion.update(truth, found)
    except InputError as error:
        raise DatasetError(f"{read.sample.mask}: {error}") from error
    borders = None
    if boundary:
        borders = BoundaryScores(len(classes.label_set), ignore_index=IGNORE)
        borders.update(truth, found)
    image = ImageScore(read.sample.name, confusion.mean_iou(), confusion.pixel_accuracy)
    return Scores(confusion, classes, (image,), borders)
