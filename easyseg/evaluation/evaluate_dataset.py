"""From a data set, or a path to one, to scores and a report."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from easyseg.datasets import Dataset, DatasetOptions, Sample, open_with_options
from easyseg.errors import InputError
from easyseg.evaluation.evaluate import evaluate
from easyseg.evaluation.scores import Scores
from easyseg.inference.predictor import Predictor

__all__ = ["evaluate_dataset"]


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
    output_stride: int | None,
    progress: bool,
) -> Scores:
    """See `SemanticSegmentation.evaluate`.

    Args:
        predictor: The model and its inference options.
        data: As in `SemanticSegmentation.evaluate`, and so are the others.
        options: How the data set is opened.
        split: "train", "val", "test" or "all"; `None` for `Dataset.default_split`.
        class_map: Classes under another name.
        boundary: Computes boundary metrics too.
        report: Folder of the report.
        model: The model's name, for the report.
        output_stride: The network's, for the report's command.
        progress: Shows a bar.
    """
    samples: Sequence[Sample]
    if isinstance(data, (str, os.PathLike, Dataset)):
        dataset = open_with_options(data, options)
        options = dataset.options
        source = str(dataset.source or dataset.name)
        split = split or dataset.default_split
        samples, label_set, notes = dataset.split(split), dataset.label_set, dataset.notes
    elif options.to_dict():
        raise InputError(
            f"{', '.join(options.to_dict())} cannot be chosen for samples; give a data set."
        )
    else:
        samples, label_set, notes, source = list(data), None, (), "samples"
        split = None
    scores = evaluate(
        predictor,
        samples,
        label_set=label_set,
        class_map=class_map,
        boundary=boundary,
        progress=progress,
    )
    scores = dataclasses.replace(scores, model=model, data=source, split=split or "")
    if report is not None:
        from easyseg.evaluation.report import write_report  # noqa: PLC0415  (matplotlib)

        write_report(
            report,
            scores=scores,
            samples=samples,
            predictor=predictor,
            model=model,
            data=f"{source}, {split}" if label_set else source,
            command=_command(
                predictor, source, options, split or "", class_map or {}, model, output_stride
            ),
            notes=notes,
        )
    return scores


def _command(
    predictor: Predictor,
    source: str,
    options: DatasetOptions,
    split: str,
    class_map: Mapping[str, str | None],
    model: str,
    output_stride: int | None,
) -> str:
    """The command line that computes the same scores."""
    words = ["easyseg", "evaluate", source, "--model", model, "--split", split]
    if output_stride is not None:
        words += ["--output-stride", str(output_stride)]
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
