"""A model measured on a data set by the workers of a Ray cluster, to the same scores."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from easyseg.datasets import DatasetOptions, open_with_options
from easyseg.datasets.splits import with_validation_split
from easyseg.distributed.ray_connect import connected
from easyseg.distributed.ray_nodes import require_version
from easyseg.distributed.ray_pool import (
    MEMORY,
    TRIES,
    Pool,
    Resources,
    open_pool,
    rows_per_task,
)
from easyseg.distributed.ray_worker import read_replies, reply, stop, use_cores
from easyseg.distributed.segmenter import ModelOptions, Segmenter
from easyseg.errors import DatasetError, EasysegError
from easyseg.evaluation.evaluate import evaluate as evaluate_samples
from easyseg.utils.progress import progress_bar
from easyseg.utils.validation import checked

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Unpack

    from easyseg.datasets.base import Dataset, Sample
    from easyseg.evaluation.scores import Scores
    from easyseg.results.label_set import LabelSet

log = logging.getLogger(__name__)

AnyPath = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class Task:
    """What all workers measure; each opens the data set itself.

    Attributes:
        data: Path of the data set.
        options: How it is opened.
        split: Which of its images.
        names: Checksum of their names, so that all open the same.
        class_map: As for `evaluate`.
        boundary: Computes boundary metrics too.
    """

    data: str
    options: DatasetOptions
    split: str | None
    names: str
    class_map: Mapping[str, str | None] | None
    boundary: bool

    def open(self) -> tuple[Sequence[Sample], LabelSet]:
        """The images and their classes.

        Raises:
            DatasetError: The data set is another one here.
        """
        dataset, samples = _open(self.data, self.options, self.split)
        if self.names not in ("", _checksum(samples)):
            raise DatasetError(
                f"{self.data} is another data set on a node of the cluster, or has changed. Put "
                "the same files at that path on all nodes."
            )
        return samples, dataset.label_set


@checked
def evaluate(
    data: AnyPath,
    *,
    model: AnyPath = "mini",
    format: str | None = None,  # noqa: A002  (as `open_dataset` has it)
    classes: Iterable[str] | LabelSet | None = None,
    ignore: Iterable[str | int] = (),
    strict: bool = False,
    split: str | None = None,
    class_map: Mapping[str, str | None] | None = None,
    boundary: bool = True,
    workers: int | None = None,
    cpus: float = 1,
    gpus: float = 0,
    memory: int = MEMORY,
    ray: str | None = None,
    progress: bool = True,
    **options: Unpack[ModelOptions],
) -> Scores:
    """Measures a model on a data set by the workers of a Ray cluster.

    The scores are those of `SemanticSegmentation.evaluate`: counts of pixels are added, which are
    whole numbers.

    Args:
        data: Folder or file of a data set, at the same path on all nodes.
        model: As for `SemanticSegmentation`, a name or path; or the URL of a file.
        format: As in `SemanticSegmentation.evaluate`, and so are those down to `boundary`.
        classes: Classes of the data set to keep.
        ignore: Classes whose pixels are ignored.
        strict: Refuses files outside the data set's folder.
        split: "train", "val", "test" or "all".
        class_map: Classes under another name.
        boundary: Computes boundary metrics too.
        workers: As in `segment`, and so are those down to `progress`.
        cpus: Cores of each worker.
        gpus: Cards of each worker.
        memory: Bytes that Ray sets apart for each.
        ray: Address of the cluster.
        progress: Shows a bar.
        **options: Other arguments of `SemanticSegmentation`.

    Raises:
        InputError: As in `segment` and `SemanticSegmentation.evaluate`.
        DatasetError: The data set or a mask cannot be read.
        ImageError: An image cannot be read.
    """
    resources, path = Resources(workers, cpus, gpus, memory), os.path.abspath(data)  # noqa: PTH100
    segmenter = Segmenter(os.fspath(model), **options)
    limit = options.get("max_pixels")
    dataset_options = DatasetOptions(format, classes, ignore, strict, limit)
    dataset, samples = _open(path, dataset_options, split)
    task = Task(path, dataset_options, split, _checksum(samples), class_map, boundary)
    with connected(ray) as cluster:
        pool, _ = open_pool(
            cluster, segmenter, resources, most=len(samples), files=[path], folder=None
        )
        with progress_bar(progress, len(samples), "image") as bar:
            scores = _gather(pool, segmenter, task, len(samples), bar.update)
    return dataclasses.replace(
        scores,
        model=segmenter.name,
        data=os.fspath(data),
        split=split or dataset.default_split,
    )


def _gather(pool: Pool, segmenter: Segmenter, task: Task, count: int, update: Any) -> Scores:
    """The scores of all images, which workers give in any order."""
    waiting, total, images = set(range(count)), None, {}
    arguments = {"segmenter": segmenter, "task": task}
    vain, again = 0, False
    while waiting and vain < TRIES:
        if again:
            log.warning("%s images are measured again; their workers died.", len(waiting))
        before, again = len(waiting), True
        tables = list(_tables(sorted(waiting), rows_per_task(before, vain)))
        replies = pool.map(Measurer, arguments, tables, queued=not vain)
        for position, scores in read_replies(replies):
            if position not in waiting:
                continue
            waiting.discard(position)
            images[position] = scores.images
            counts = dataclasses.replace(scores, images=())
            total = counts if total is None else total + counts
            update()
        vain = vain + 1 if len(waiting) == before else 0
    if total is None or waiting:
        raise EasysegError(
            f"{TRIES} workers died over the same {len(waiting)} images. Give workers more memory=."
        )
    in_order = (images[position] for position in range(count))
    return dataclasses.replace(total, images=functools.reduce(operator.iconcat, in_order, []))


class Measurer:
    """Scores the images of a table; Ray makes one in each worker's process."""

    def __init__(self, segmenter: Segmenter, task: Task, version: str) -> None:
        self._segmenter, self._task, self._version = segmenter, task, version
        self._opened: tuple[Sequence[Sample], LabelSet] | None = None
        use_cores()

    def __call__(self, table: Any) -> Any:
        """A reply with the scores of each image."""
        try:
            require_version(self._version, os.uname().nodename)
            seg, _ = self._segmenter.open()
            self._opened = self._opened or self._task.open()
            samples, labels = self._opened
            positions = table["position"].to_pylist()
            return reply({i: self._score(seg, samples[i], labels) for i in positions})
        except EasysegError as error:
            return stop(error)

    def _score(self, seg: Any, sample: Sample, labels: LabelSet) -> Scores:
        return evaluate_samples(
            seg._predictor,
            [sample],
            label_set=labels,
            class_map=self._task.class_map,
            boundary=self._task.boundary,
        )


def _open(
    data: str | Path, options: DatasetOptions, split: str | None
) -> tuple[Dataset, Sequence[Sample]]:
    """A data set, and the images of a split."""
    dataset = open_with_options(data, options)
    split = split or dataset.default_split
    dataset = with_validation_split(dataset) if split == "val" else dataset
    return dataset, dataset.split(split)


def _checksum(samples: Sequence[Sample]) -> str:
    names = "\n".join(sample.name for sample in samples)
    return hashlib.blake2b(names.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _tables(positions: Sequence[int], rows: int) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    for start in range(0, len(positions), rows):
        yield pa.table({"position": pa.array(positions[start : start + rows], pa.int64())})
