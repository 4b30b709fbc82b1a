"""The facade's method for images whose truth is known."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from easyseg.errors import InputError
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import KerasHubConfig
from easyseg.results.label_set import LabelSet

if TYPE_CHECKING:
    from easyseg.datasets import Reading
    from easyseg.datasets.base import Dataset, Sample
    from easyseg.evaluation.scores import Scores
    from easyseg.inference.predictor import Predictor

__all__ = ["Evaluating"]


class Evaluating:
    """Part of `SemanticSegmentation`."""

    name: str
    config: ModelConfig | KerasHubConfig
    _predictor: Predictor

    def evaluate(
        self,
        data: str | os.PathLike[str] | Dataset | Iterable[Sample],
        *,
        format: str | None = None,  # noqa: A002  (as `open_dataset` has it)
        classes: Iterable[str] | LabelSet | None = None,
        ignore: Iterable[str | int] = (),
        split: str = "val",
        class_map: Mapping[str, str | None] | None = None,
        boundary: bool = True,
        batch_size: int | None = None,
        report: str | os.PathLike[str] | None = None,
        progress: bool = True,
    ) -> Scores:
        """Says how good the model is, on images at their own sizes.

            scores = seg.evaluate("my_folder")
            print(scores)  # a table of the classes
            print(scores.mean_iou, scores.to_dict()["classes"])

        Windows, scales and mirror images are used as this object was made with. Where the data
        set's classes are not the model's they are matched by name, and `scores.class_mapping.notes` says
        how (`docs/evaluation.md` has the rules and the formulas).

        Args:
            data: Folder or file of a data set, a `Dataset`, or samples with the model's own ids.
            format: The data set's, if it shall not be guessed: "coco", "voc", ...
            classes: Those of the data set's classes to keep, in this order; or, where its files
                name none, the names of the masks' values.
            ignore: Classes of the data set, by name or id, whose pixels do not count.
            split: Which of the data set's splits: "train", "val" or "test".
            class_map: Classes whose names differ, `{name in the data set: name in the model}`; a
                class with `None` for the latter is left out, and its pixels do not count.
            boundary: Measures borders too.
            batch_size: Images that go through the network together; by default the model's.
            report: Folder for charts, sheets, the worst images, `scores.json` and `report.html`.
            progress: Shows a bar.

        Raises:
            InputError: There is no such split, it is empty, or the classes cannot be matched.
            DatasetError: The data set or a truth cannot be read.
            ImageError: An image cannot be read.
            OutputError: The report cannot be written.
        """
        from easyseg.datasets import Reading  # noqa: PLC0415  (NumPy, for this alone)
        from easyseg.datasets.base import Dataset  # noqa: PLC0415
        from easyseg.evaluation.evaluate import evaluate  # noqa: PLC0415

        reading = Reading(format, classes, ignore)
        samples: Sequence[Sample]
        if isinstance(data, (str, os.PathLike, Dataset)):
            dataset = reading.open(data)
            source = dataset.name if isinstance(data, Dataset) else str(data)
            samples, label_set, notes = dataset.split(split), dataset.label_set, dataset.notes
        elif reading.to_dict():
            raise InputError(
                f"{', '.join(reading.to_dict())} cannot be chosen for samples; give a data set."
            )
        else:
            samples, label_set, notes, source = list(data), None, (), "samples"
        scores = evaluate(
            self._predictor,
            samples,
            label_set=label_set,
            class_map=class_map,
            boundary=boundary,
            batch_size=batch_size,
            progress=progress,
        )
        if report is not None:
            from easyseg.evaluation.report import write_report  # noqa: PLC0415  (matplotlib)

            write_report(
                Path(report),
                scores=scores,
                samples=samples,
                predictor=self._predictor,
                model=self.name,
                data=f"{source}, {split}" if label_set else source,
                command=self._command(source, reading, split, class_map or {}),
                notes=notes,
            )
        return scores

    def _command(
        self, source: str, reading: Reading, split: str, class_map: Mapping[str, str | None]
    ) -> str:
        """What would measure the same in a terminal."""
        seen = self._predictor
        words = ["easyseg", "evaluate", source, "--model", self.name, "--split", split]
        if isinstance(self.config, ModelConfig):  # others have no choice
            words += ["--output-stride", str(self.config.output_stride)]
        if seen.window:
            words += ["--tile", str(seen.window)]
        if seen.scales != (1.0,):
            words += ["--scales", ",".join(f"{scale:g}" for scale in seen.scales)]
        words += ["--flip"] * seen.flip
        for name, value in reading.to_dict().items():
            words += [f"--{name}", value if isinstance(value, str) else ",".join(map(str, value))]
        for theirs, ours in class_map.items():
            words += ["--class-map", f"{theirs}={ours or ''}"]
        return shlex.join(words)
