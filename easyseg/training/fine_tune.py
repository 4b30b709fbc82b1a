"""From data and a model to a run directory with a report: new runs, and resumed ones."""

from __future__ import annotations

import dataclasses
import logging
import os
import platform
import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from easyseg._keras import backend, keras_defaults, ops
from easyseg.datasets import Dataset, DatasetOptions, open_with_options
from easyseg.datasets.check import check_dataset
from easyseg.datasets.scan import scan_dataset
from easyseg.datasets.splits import with_validation_split
from easyseg.errors import ConfigError, InputError, TrainingError
from easyseg.evaluation.class_mapping import map_classes
from easyseg.evaluation.evaluate import evaluate
from easyseg.evaluation.report import write_report
from easyseg.inference.options import InferenceOptions
from easyseg.inference.predictor import Predictor
from easyseg.models.build import build_model
from easyseg.results.label_set import LabelSet
from easyseg.training.config import TrainConfig, split_options
from easyseg.training.data_loader import spread
from easyseg.training.follow_chief import assign, receive_state, tell_state
from easyseg.training.freeze_backbone import is_random
from easyseg.training.plan import SETTLED, Plan, check_buildable, check_choices, make_plan
from easyseg.training.run_dir import (
    LAST,
    SETTINGS,
    has_begun,
    has_state,
    is_bare,
    is_finished,
    locked,
    new_run_dir,
    read_settings,
    read_state,
    write_settings,
)
from easyseg.training.trainer import train
from easyseg.training.validation import warn_if_below_start, warn_if_one_class
from easyseg.training.workers import ALONE, Workers, join
from easyseg.utils.allocator import keep_freed_memory
from easyseg.utils.files import real_path
from easyseg.utils.threads import limit_threads
from easyseg.weights.bundle import config_from_dict, read_bundle
from easyseg.weights.checksum import weights_checksum
from easyseg.weights.loader import LoadedModel, load_model

log = logging.getLogger(__name__)

PACKAGES = ("easyseg", "keras", "numpy", "opencv-python-headless")


class FineTuned(NamedTuple):
    """A finished run.

    Attributes:
        model: The best epoch's, whose folder is the run's directory.
        history: Metrics of each epoch, as in results.csv.
    """

    model: LoadedModel
    history: list[dict[str, Any]]


@keras_defaults()
def fine_tune(
    start: LoadedModel,
    data: str | os.PathLike[str] | Dataset,
    *,
    start_name: str,
    start_origin: Mapping[str, Any] | None = None,
    data_options: DatasetOptions = DatasetOptions(),  # noqa: B008  (frozen)
    run_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    callbacks: Sequence[Any] = (),
    progress: bool = True,
    options: Mapping[str, Any],
    workers: Workers = ALONE,
) -> FineTuned:
    """Trains a model further on a data set.

    Of several workers, all get the same arguments, and the chief alone writes the run.

    Args:
        start: The model, which is not changed.
        data: The data set, which is opened after the options have been checked.
        start_name: The model's name, for config.yaml.
        start_origin: Arguments of `load_model` that open it again, if it can be.
        data_options: How it is opened.
        run_dir: Directory of the run; by default `runs/` and the data set's name. If it exists, the
            run gets a number: "runs/mine-2".
        resume: Resumes the run in `run_dir` if there is one; one that was killed before it wrote a
            state starts again in the same directory.
        callbacks: Keras callbacks.
        progress: Shows bars.
        options: Fields of `TrainConfig`, and of `ModelConfig` for changes of the network.
        workers: What `join_workers` returned.

    Raises:
        InputError: A choice breaks a rule.
        DatasetError: The data set cannot be trained on; names the first bad file.
        TrainingError: Training cannot continue; the message says what is kept.
        OutputError: A file cannot be written.
        Stopped: Ctrl-C; the run can be resumed.
    """
    keep_freed_memory()
    limit_threads()
    check_choices(options, start.config)
    choices, changes = split_options(options)
    config = _distributed(TrainConfig.from_dict(choices), workers)
    dataset = open_with_options(data, data_options)
    path = _run_path(run_dir, dataset)
    if resume and workers.decide(lambda: has_state(path)):
        if workers.is_chief:
            _check_same(path, choices, changes)
        return resume_training(
            path, data=dataset, callbacks=callbacks, progress=progress, workers=workers
        )
    report = check_dataset(dataset)
    report.raise_errors()
    for warning in report.warnings:
        log.warning("%s", warning)
    random = is_random(start.model, start.config)
    plan = make_plan(
        report.scan,
        start.config,
        config,
        same_classes=start.label_set.names == dataset.label_set.names,
        changes=changes,
        random=random,
    )
    check_buildable(plan, workers=workers.count)
    workers.require_same(_facts(plan))
    if not workers.is_chief:
        train(plan, path, workers=workers)
        return _follow_to_end(plan, workers)
    killed_early = resume and is_bare(path)
    final = path if killed_early else new_run_dir(path)
    if final != path:
        log.warning("%s exists; this run is written to %s.", path, final)
    with locked(final):
        origin = None if start_origin is None else {key: v for key, v in start_origin.items() if v}
        begin = {"model": origin, "crc32": weights_checksum(start.model), "network": changes}
        settings = _settings(plan, start_name, [*choices, *changes], begin)
        write_settings(final, settings)
        if not random:
            score = _score_start(start, plan, progress=progress)
            plan = dataclasses.replace(plan, start_mean_iou=score)
            write_settings(final, {**settings, "start_mean_iou": score})
        train(plan, final, start=start, callbacks=callbacks, progress=progress, workers=workers)
        return _finish(plan, final, progress=progress, workers=workers)


@keras_defaults()
def resume_training(
    run_dir: Path,
    *,
    data: str | os.PathLike[str] | Dataset | None = None,
    callbacks: Sequence[Any] = (),
    progress: bool = True,
    workers: Workers | None = None,
) -> FineTuned:
    """Continues a run that was interrupted, to the weights that it would have had without.

    One that was stopped before its first state begins again. The workers that `TF_CONFIG` names
    continue it together, or this process alone, whoever began it; the chief alone reads and writes
    the run's directory.

    Args:
        run_dir: The run's directory.
        data: Its data set, if that was not opened by a path or has moved. A path is opened with
            the options that the run was started with.
        callbacks: Keras callbacks, which are not recorded.
        progress: Shows bars.
        workers: The processes, if they have joined already.

    Raises:
        TrainingError: There is no run, its data is different, or another process is using it.
        Stopped: Ctrl-C; the run can be resumed again.
    """
    keep_freed_memory()
    limit_threads()
    workers = join(required=False) if workers is None else workers
    # before the lock, which would make the directory
    settings = workers.decide(lambda: read_settings(run_dir))
    if workers.decide(lambda: not has_state(run_dir) and has_begun(run_dir)):
        return _begin_again(
            run_dir, settings, data, callbacks=callbacks, progress=progress, workers=workers
        )
    if not workers.is_chief:
        plan = _resumed_plan(run_dir, settings, data, workers)
        train(plan, run_dir, workers=workers)
        return _follow_to_end(plan, workers)
    with locked(run_dir):
        state = read_state(run_dir)
        if state.ended:
            log.warning(
                "%s is finished after %d epochs, so nothing is trained; to train on, start a new "
                "run with model=%r.",
                run_dir,
                state.epoch,
                str(run_dir),
            )
        plan = _resumed_plan(run_dir, settings, data, workers)
        train(plan, run_dir, state=state, callbacks=callbacks, progress=progress, workers=workers)
        return _finish(plan, run_dir, progress=progress, workers=workers)


def join_workers(options: Mapping[str, Any]) -> Workers:
    """The processes that train together, which must be joined before a network is loaded.

    Args:
        options: As for `fine_tune`; those that need no network are checked.

    Raises:
        ConfigError: An option breaks a rule, or the processes cannot be joined.
        TrainingError: A process does not come, or does not fit.
    """
    config = TrainConfig.from_dict(split_options(options)[0])
    return join(required=True) if config.distribute == "multi_worker" else ALONE


def _distributed(config: TrainConfig, workers: Workers) -> TrainConfig:
    """The config as these processes carry it out."""
    if workers.count > 1:
        return config.replace(distribute="multi_worker")
    return config.replace(distribute="none") if config.distribute == "multi_worker" else config


def _facts(plan: Plan) -> dict[str, Any]:
    """What all workers must have in common; the initial weights are the chief's."""
    options = plan.config.to_dict()
    del options["cache_mb"]
    return {
        **options,
        "the network": plan.model.to_dict(),
        "the classes": plan.label_set.names,
        "the training images": [sample.name for sample in plan.train],
        "the training masks": plan.pixels,
    }


def _begin_again(
    run_dir: Path,
    settings: Mapping[str, Any],
    data: str | os.PathLike[str] | Dataset | None,
    *,
    callbacks: Sequence[Any],
    progress: bool,
    workers: Workers,
) -> FineTuned:
    """Starts a run that was stopped before its first state, in the same directory."""
    try:
        begin, training = dict(settings["begin"]), settings["training"]
        origin = begin["model"] and dict(begin["model"])
        changes = dict(begin["network"])
        chosen = {name: training[name] for name in settings["chosen"] if name in training}
    except (LookupError, TypeError, ValueError) as error:
        raise TrainingError(
            f"{run_dir} was stopped before its first state, and its {SETTINGS} is damaged; start "
            "a new run."
        ) from error
    start = load_model(**origin, progress=progress) if origin else None
    if start is None or weights_checksum(start.model) != begin["crc32"]:
        raise TrainingError(
            f"{run_dir} was stopped before its first state, and its initial model "
            f"{'was in memory only' if start is None else 'has changed'}; start it again with "
            "fine_tune(run_dir=..., resume=True)."
        )
    return fine_tune(
        start,
        _dataset(run_dir, settings, data),
        start_name=settings.get("start", ""),
        start_origin=origin,
        run_dir=run_dir,
        resume=True,
        callbacks=callbacks,
        progress=progress,
        options={**chosen, **changes},
        workers=workers,
    )


def _run_path(run_dir: str | os.PathLike[str] | None, dataset: Dataset) -> Path:
    """Where the run is written, if that is free."""
    if run_dir is None:
        return Path("runs") / (re.sub(r"[^\w.-]+", "_", dataset.name) or "run")
    path = Path(run_dir)
    if path.name in ("", ".."):
        raise InputError(
            f"run_dir={str(run_dir)!r} has no name of its own; give a directory such as runs/mine."
        )
    return path


def _check_same(run_dir: Path, choices: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Raises if a run would be resumed with other choices than it was started with."""
    started = read_settings(run_dir)["training"]
    values = TrainConfig.from_dict(choices).to_dict()
    for name, choice in choices.items():
        left_open = choice is None and name in SETTLED
        if started.get(name) != values[name] and not left_open:
            raise ConfigError(
                f"{run_dir} was started with {name}={started.get(name)!r}, not {values[name]!r}; "
                f"{_cure(run_dir, 'leave it out')}."
            )
    model = read_bundle(run_dir / LAST).config
    if model.replace(**changes) != model:
        cure = _cure(run_dir, f"leave {', '.join(changes)} out")
        raise ConfigError(f"{run_dir} was started with another network; {cure}.")


def _cure(run_dir: Path, leave_out: str) -> str:
    """What to do about choices that differ from those of the run."""
    if is_finished(run_dir):
        return (
            f"it is finished, so choose another run_dir, and model={str(run_dir)!r} to continue "
            "from its weights"
        )
    return f"{leave_out} to resume, or choose another run_dir"


def _resumed_plan(
    run_dir: Path,
    settings: Mapping[str, Any],
    data: str | os.PathLike[str] | Dataset | None,
    workers: Workers,
) -> Plan:
    """The plan of a run, from its settings and its data."""
    dataset = _dataset(run_dir, settings, data)
    network, labels = workers.decide(lambda: _described(run_dir / LAST))
    model, label_set = config_from_dict(network), LabelSet.from_dict(labels)
    if dataset.label_set.names != label_set.names:
        raise TrainingError(
            f"{run_dir} was trained on {len(label_set)} classes, but {dataset.name!r} has "
            "others; give the data set, `classes` and `ignore` that it was started with."
        )
    dataset = dataclasses.replace(dataset, label_set=label_set)  # with its colors
    plan = make_plan(
        scan_dataset(with_validation_split(dataset)),
        model,
        _distributed(TrainConfig.from_dict(settings["training"]), workers),
        same_classes=True,
        changes={"input_size": model.input_size},
    )
    workers.require_same(_facts(plan))
    plan = dataclasses.replace(plan, start_mean_iou=settings.get("start_mean_iou"))
    images = {"train": len(plan.train), "val": len(plan.val)}
    if images != settings["data"].get("images"):
        raise TrainingError(
            f"{run_dir} was started with {settings['data'].get('images')} images, and now there "
            f"are {images}; restore the data, or start a new run from {run_dir / LAST}."
        )
    return plan


def _described(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Network and classes of a bundle, as plain values."""
    bundle = read_bundle(folder)
    return bundle.config.to_dict(), bundle.label_set.to_dict()


def _dataset(
    run_dir: Path, settings: Mapping[str, Any], data: str | os.PathLike[str] | Dataset | None
) -> Dataset:
    """The data set of a run, opened as it began."""
    source = settings.get("data", {}).get("source") if data is None else data
    if source is None:
        raise TrainingError(f"{run_dir} does not record the path of its data; give it as data=...")
    options = DatasetOptions(**settings["data"].get("options", {}))
    return source if isinstance(source, Dataset) else open_with_options(source, options)


def _score_start(start: LoadedModel, plan: Plan, *, progress: bool) -> float | None:
    """Mean IoU on the images that each epoch is validated on; `None` if the start lacks a class."""
    try:
        map_classes(start.label_set, plan.label_set)
    except InputError:
        return None
    predictor = _predictor(start, plan)
    samples = spread(plan.val, plan.config.val_images)
    scores = evaluate(
        predictor, samples, label_set=plan.label_set, boundary=False, progress=progress
    )
    return scores.mean_iou


def _predictor(model: LoadedModel, plan: Plan) -> Predictor:
    """Runs the model on the plan's images, whose own limit of pixels holds."""
    options = InferenceOptions(max_pixels=plan.data.options.max_pixels)
    size = model.config.input_size
    return Predictor(model.model, model.label_set, input_size=size, options=options)


def _settings(
    plan: Plan, start_name: str, chosen: Sequence[str], begin: Mapping[str, Any]
) -> dict[str, Any]:
    """config.yaml; the network itself is in config.json.

    `begin` is what a run needs that is stopped before its first state.
    """
    return {
        "data": {
            "source": str(real_path(plan.data.source)) if plan.data.source else None,
            "name": plan.data.name,
            "format": plan.data.format,
            "options": plan.data.options.to_dict(),
            "images": {"train": len(plan.train), "val": len(plan.val)},
        },
        "start": start_name,
        "start_mean_iou": plan.start_mean_iou,
        "begin": _plain(begin),
        "chosen": sorted(chosen),
        "notes": list(plan.notes),
        "training": plan.config.to_dict(),
        "versions": {
            "python": platform.python_version(),
            "backend": backend(),
            **{package: metadata.version(package) for package in PACKAGES},
        },
    }


def _plain(value: Any) -> Any:
    """The value as YAML holds it: lists for tuples, texts for paths."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _follow_to_end(plan: Plan, workers: Workers) -> FineTuned:
    """The best epoch's model, once the chief has written the report; without a folder."""
    state = receive_state(workers)
    network = build_model(plan.model)
    assign(network.variables, state.model)
    return FineTuned(LoadedModel(network, plan.model, plan.label_set), state.history)


def _finish(plan: Plan, run_dir: Path, *, progress: bool, workers: Workers) -> FineTuned:
    """Evaluates the best epoch on all validation images, and writes the report."""
    settings, state = read_settings(run_dir), read_state(run_dir)
    history = state.history
    best = load_model(run_dir)
    predictor = _predictor(best, plan)
    scores = evaluate(predictor, plan.val, progress=progress)
    warn_if_one_class(scores)
    warn_if_below_start(plan, history[state.best or 0], settings.get("start", ""))
    write_report(
        run_dir,
        scores=scores,
        samples=plan.val,
        predictor=predictor,
        model=f"{run_dir}, from {settings.get('start', '')}",
        data=f"{plan.data.name}, val",
        notes=[*plan.data.notes, *settings.get("notes", ())],
        history=history,
        settings=settings,
    )
    log.info("%s: mean IoU %.4f on %d images.", run_dir, scores.mean_iou, len(plan.val))
    values = [ops.convert_to_numpy(variable) for variable in best.model.variables]
    tell_state(workers, lambda: state._replace(model=values, optimizer=[]))
    return FineTuned(best._replace(folder=run_dir), history)
