"""Whether an exported file gives the labels of Keras on real images, and the same quality."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from easyseg.errors import ExportError
from easyseg.evaluation.class_mapping import ClassMapping
from easyseg.evaluation.metrics import ConfusionMatrix
from easyseg.export import graph
from easyseg.export.graph import ExportGraph
from easyseg.export.real_images import RealImage
from easyseg.inference.runtimes.keras import compiled

Run = Callable[[dict[str, np.ndarray]], dict[str, Any]]
TOGETHER = 32  # images for one start of the process


class RealImageAgreement(NamedTuple):
    """How a file compares with Keras on real images, padding left out.

    Attributes:
        images: How many there were.
        labels: Fraction of the labels that are equal.
        before: mIoU of Keras at the input's size; `None` without masks.
        after: That of the file.
    """

    images: int
    labels: float
    before: float | None = None
    after: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """For the file's metadata."""
        return {
            "images": self.images,
            "labels": round(self.labels, 6),
            "miou_keras": self.before and round(self.before, 6),
            "miou": self.after and round(self.after, 6),
        }


def compare_on_real_images(
    export_graph: ExportGraph,
    model: Any,
    images: Sequence[RealImage],
    classes: ClassMapping | None,
    run: Run,
) -> RealImageAgreement:
    """Compares the labels of a file with those of Keras, and both with masks if there are any.

    Args:
        export_graph: What the file was written from.
        model: The Keras model that it was exported from.
        images: At least one.
        classes: Of the masks; `None` without.
        run: Runs the file on arrays by name.
    """
    equal = total = 0
    count = 0 if classes is None else len(classes.label_set)
    matrices = ConfusionMatrix(count), ConfusionMatrix(count)
    keras = compiled(model, export_graph.config.input_size)
    for image, given in _labels_of_file(export_graph, images, run):
        height, width = image.size
        expected = keras(image.pixels[None])[0].argmax(-1)
        if given.shape != expected.shape:
            raise ExportError(
                f"The exported file gives labels of shape {given.shape} instead of "
                f"{expected.shape}. Nothing was written. Choose another format, or report this."
            )
        pair = [labels[:height, :width] for labels in (expected, given)]
        equal, total = equal + int((pair[0] == pair[1]).sum()), total + height * width
        if classes is not None and image.labels is not None:
            known = np.clip(pair[1], 0, export_graph.config.num_classes - 1)  # of a broken file
            for matrix, labels in zip(matrices, (pair[0], known), strict=True):
                matrix.update(image.labels, classes.map_prediction(labels))
    agreement = RealImageAgreement(len(images), equal / total)
    if classes is None:
        return agreement
    before, after = (matrix.mean_iou() for matrix in matrices)
    return agreement._replace(before=before, after=after)


def _labels_of_file(
    export_graph: ExportGraph, images: Sequence[RealImage], run: Run
) -> Iterator[tuple[RealImage, np.ndarray]]:
    """Each image with what the file gives for it, `(H, W)`."""
    size = export_graph.options.batch or 1
    for first in range(0, len(images), size * TOGETHER):
        part = images[first : first + size * TOGETHER]
        batches = [
            [part[(i + k) % len(part)] for k in range(size)] for i in range(0, len(part), size)
        ]
        results = run({f"{i}": np.stack([p.pixels for p in b]) for i, b in enumerate(batches)})
        for i, batch in enumerate(batches):
            labels = _labels(export_graph, results[f"{i}/{export_graph.options.output}"])
            for k, image in enumerate(batch[: len(part) - i * size]):
                yield image, labels[k]


def _labels(export_graph: ExportGraph, given: np.ndarray) -> np.ndarray:
    """What a file gives -> `(N, H, W)`."""
    if export_graph.options.output == "labels":
        return given
    if export_graph.options.output == "logits":
        height, width = export_graph.config.input_size
        half_pixel = export_graph.metadata["logits"]["half_pixel"]
        like = np.zeros((1, height, width, 1), np.uint8)
        given = np.asarray(graph.enlarge(given, like, half_pixel=half_pixel))
    return given.argmax(-1)
