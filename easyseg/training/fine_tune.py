"""From data and a model to a run folder with a report: new runs, and runs that go on."""

from __future__ import annotations

import dataclasses
import logging
import os
import platform
import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from easyseg._keras import backend
from easyseg.datasets import Dataset, DatasetOptions, open_with_options
from easyseg.datasets.check import check_dataset
from easyseg.datasets.scan import scan_dataset
from easyseg.datasets.splits import with_validation_split
from easyseg.errors import ConfigError, InputError, TrainingError
from easyseg.evaluation.evaluate import evaluate
from easyseg.evaluation.report import write_report
from easyseg.inference.predictor import Predictor
from easyseg.training.build import check_parts
from easyseg.training.config import TrainConfig
from easyseg.training.freeze_backbone import is_random
from easyseg.training.plan import SETTLED, Plan, make_plan, part_options
from easyseg.training.run_dir import (
    LAST,
    has_state,
    is_bare,
    locked,
    new_folder,
    read_settings,
    read_state,
    write_settings,
)
from easyseg.training.trainer import train
from easyseg.training.validation import warn_if_one_class
from easyseg.utils.registry import unknown_name
from easyseg.weights.bundle import read_bundle
from easyseg.weights.loader import LoadedModel, load_model

__all__ = ["fine_tune", "resume"]

log = logging.getLogger(__name__)

Source = str | os.PathLike[str] | Dataset
PACKAGES = ("easyseg", "keras", "numpy", "opencv-python-headless")


def fine_tune(
    start: LoadedModel,
    dataset: Dataset,
    *,
    start_name: str,
    runs: Path,
    name: str | None = None,
    go_on: bool = False,
    callbacks: Sequence[Any] = (),
    progress: bool = True,
    options: Mapping[str, Any],
) -> Path:
    """Trains a model further on a data set.

    Args:
        start: The model; is not changed.
        dataset: The data set.
        start_name: The model's name, for config.yaml.
        runs: Folder of run folders.
        name: Of the run; by default the data set's. One that is taken gets a number: "mine-2".
        go_on: Goes on with the run of this name, if there is one; one that was killed before it
            wrote a state begins again in its folder.
        callbacks: Keras callbacks.
        progress: Shows bars.
        options: Fields of `TrainConfig`, and of `ModelConfig` for changes of the network.

    Returns:
        The run folder.

    Raises:
        InputError: A choice breaks a rule.
        DatasetError: The data set cannot be trained on; names the first bad file.
        TrainingError: The run cannot go on; says what is kept.
        OutputError: A file cannot be written.
    """
    choices, changes = part_options(options)
    _check_names(choices, changes)
    config = TrainConfig.from_dict(choices)
    network = start.config
    if name is not None and (Path(name).name != name or name == ".."):
        raise InputError(
            f"name={name!r} is no name of a folder; say with runs= (-o) where it shall lie."
        )
    name = name or re.sub(r"[^\w.-]+", "_", dataset.name) or "run"
    if go_on and has_state(runs / name):
        _check_same(runs / name, choices, changes)
        return resume(runs / name, data=dataset, callbacks=callbacks, progress=progress)
    report = check_dataset(dataset)
    report.raise_errors()
    for warning in report.warnings:
        log.warning("%s", warning)
    plan = make_plan(
        report.scan,
        network,
        config,
        same_classes=start.label_set.names == dataset.label_set.names,
        changes=changes,
        random=is_random(start.model, network),
    )
    check_parts(plan)
    killed = go_on and is_bare(runs / name)  # before there was anything to go on with
    folder = runs / name if killed else new_folder(runs, name)
    if folder.name != name:
        log.warning("%s is there already; this run is %s.", runs / name, folder)
    with locked(folder):
        write_settings(folder, _settings(plan, start_name, choices, changes))
        train(plan, folder, start=start, callbacks=callbacks, progress=progress)
        _finish(plan, folder, progress=progress)
    return folder


def resume(
    folder: Path,
    *,
    data: Source | None = None,
    callbacks: Sequence[Any] = (),
    progress: bool = True,
) -> Path:
    """Goes on with a run that was stopped, to the weights that it would have come to.

    Args:
        folder: The run's.
        data: Its data set, if it was not opened by a path or has moved. A path is opened with
            the options that the run began with.
        callbacks: Keras callbacks, which are not recorded.
        progress: Shows bars.

    Returns:
        The folder.

    Raises:
        TrainingError: There is no run in the folder, its data is another, or it is going on.
    """
    with locked(folder):
        settings = read_settings(folder)
        state = read_state(folder)
        source = settings.get("data", {}).get("source") if data is None else data
        if source is None:
            raise TrainingError(
                f"{folder} does not record where its data lies; give it as data=..."
            )
        options = DatasetOptions(**settings["data"].get("options", {}))
        dataset = source if isinstance(source, Dataset) else open_with_options(source, options)
        bundle = read_bundle(folder / LAST)
        if dataset.label_set.names != bundle.label_set.names:
            raise TrainingError(
                f"{folder} was trained on {len(bundle.label_set)} classes, but {dataset.name!r} "
                "has others; give the data set that it began with, and `classes` and `ignore` as "
                "they were."
            )
        dataset = dataclasses.replace(dataset, label_set=bundle.label_set)  # with its colors
        plan = make_plan(
            scan_dataset(with_validation_split(dataset)),
            bundle.config,
            TrainConfig.from_dict(settings["training"]),
            same_classes=True,
            changes={"input_size": bundle.config.input_size},
        )
        images = {"train": len(plan.train), "val": len(plan.val)}
        if images != settings["data"].get("images"):
            raise TrainingError(
                f"{folder} began with {settings['data'].get('images')} images, and now there are "
                f"{images}; put the data back, or begin a new run from {folder / LAST}."
            )
        train(plan, folder, state=state, callbacks=callbacks, progress=progress)
        _finish(plan, folder, progress=progress)
    return folder


def _check_names(choices: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    known = [field.name for field in dataclasses.fields(TrainConfig)]
    for name in choices:
        if name not in known:
            raise ConfigError(str(unknown_name("training choice", name, known)))
    if "num_classes" in changes:
        raise ConfigError(
            "the number of classes cannot be chosen in fine-tuning: they are the data set's, of "
            "which classes=[...] (--classes) keeps some."
        )


def _check_same(folder: Path, choices: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """A run that goes on keeps the choices that it began with."""
    begun = read_settings(folder)["training"]
    given = TrainConfig.from_dict(choices).to_dict()
    for name, value in choices.items():
        left_open = value is None and name in SETTLED
        if begun.get(name) != given[name] and not left_open:
            raise ConfigError(
                f"{folder} was begun with {name}={begun.get(name)!r}, not {given[name]!r}; leave "
                "it out to go on, or give the run another name."
            )
    model = read_bundle(folder / LAST).config
    if model.replace(**changes) != model:
        raise ConfigError(
            f"{folder} was begun with another network; leave {', '.join(changes)} out to go on, or "
            "give the run another name."
        )


def _settings(
    plan: Plan,
    start_name: str,
    choices: Mapping[str, Any],
    changes: Mapping[str, Any],
) -> dict[str, Any]:
    """config.yaml; the network itself stands in config.json."""
    return {
        "data": {
            "source": str(plan.data.source.resolve()) if plan.data.source else None,
            "name": plan.data.name,
            "format": plan.data.format,
            "options": plan.data.options.to_dict(),
            "images": {"train": len(plan.train), "val": len(plan.val)},
        },
        "start": start_name,
        "chosen": sorted([*choices, *changes]),
        "notes": list(plan.notes),
        "training": plan.config.to_dict(),
        "versions": {
            "python": platform.python_version(),
            "backend": backend(),
            **{package: metadata.version(package) for package in PACKAGES},
        },
    }


def _finish(plan: Plan, folder: Path, *, progress: bool) -> None:
    """Measures the best epoch on all validation images, and writes the report."""
    settings = read_settings(folder)
    best = load_model(folder)
    predictor = Predictor(best.model, best.label_set, input_size=best.config.input_size)
    scores = evaluate(predictor, plan.val, progress=progress)
    warn_if_one_class(scores)
    write_report(
        folder,
        scores=scores,
        samples=plan.val,
        predictor=predictor,
        model=f"{folder}, from {settings.get('start', '')}",
        data=f"{plan.data.name}, val",
        notes=[*plan.data.notes, *settings.get("notes", ())],
        history=read_state(folder).rows,
        settings=settings,
    )
    log.info("%s: mean IoU %.4f on %d images.", folder, scores.mean_iou, len(plan.val))
