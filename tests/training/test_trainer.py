import csv
import dataclasses
import html
import json
import os
import resource
import shutil
import subprocess
import sys

import filelock
import numpy as np
import pytest
from helpers.keras_settings import unusual_settings
from helpers.paths import TESTS
from helpers.square_dataset import QUICK, paint, start
from helpers.stored_arrays import stored_arrays

from easyseg import SemanticSegmentation
from easyseg._keras import keras
from easyseg.cli import main
from easyseg.datasets import DatasetOptions, open_dataset, open_with_options
from easyseg.datasets.scan import scan_dataset
from easyseg.errors import ConfigError, InputError, OutputError, TrainingError
from easyseg.evaluation.class_mapping import map_classes
from easyseg.evaluation.metrics import ConfusionMatrix
from easyseg.evaluation.scores import Scores
from easyseg.io.read_image import read_image
from easyseg.results.label_set import LabelSet, load_label_set
from easyseg.training.batch_norm import measure, unmeasured
from easyseg.training.config import TrainConfig
from easyseg.training.fine_tune import fine_tune, resume_training
from easyseg.training.plan import make_plan
from easyseg.training.run_dir import (
    State,
    Stopped,
    locked,
    new_run_dir,
    read_settings,
    read_state,
    write_settings,
    write_state,
)
from easyseg.training.trainer import Trainer, halved, train
from easyseg.training.validation import warn_if_below_start, warn_if_one_class
from easyseg.weights.bundle import read_bundle, save_bundle

# names that HTML, CSV, YAML, folders and fonts may stumble over
ODD = ("ground  / 'wet', \u4e2d \U0001f600", '<b>"&amp;" = $x_1^2$ %s {}', "long " * 60 + "name")
NAMES = tuple(" ".join(name.split()) for name in ODD)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    folder = paint(tmp_path_factory.mktemp("data") / "shapes")
    (folder / "classes.txt").write_text("\n".join(ODD), "utf-8")
    return folder


class Listener(keras.callbacks.Callback):
    """As a logger of the user's."""

    def __init__(self):
        super().__init__()
        self.entries = []

    def on_epoch_end(self, epoch, logs=None):
        self.entries.append((epoch, dict(logs)))


class StopError(Exception):
    pass


class Stops(keras.callbacks.Callback):
    """Ends the run in the second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise StopError


@pytest.fixture(scope="module")
def listener():
    return Listener()


@pytest.fixture(scope="module")
def run(shapes, listener, tmp_path_factory):
    """A short run of `SemanticSegmentation.fine_tune`, from a saved model, whatever Keras's
    settings are."""
    runs = tmp_path_factory.mktemp("runs")
    opened = start()
    save_bundle(runs / "start", opened.model, opened.config, opened.label_set)
    seg = SemanticSegmentation(runs / "start")
    before = seg.model.get_weights()
    with unusual_settings():
        mine = seg.fine_tune(
            shapes,
            run_dir=runs / "shapes",
            callbacks=[listener],
            progress=False,
            output_stride=8,
            **QUICK,
        )
    assert all(map(np.array_equal, before, seg.model.get_weights()))
    return mine, runs / "shapes"


def plan(shapes, **choices):
    options = {**QUICK, **choices}
    return make_plan(
        scan_dataset(open_dataset(shapes)),
        start().config,
        TrainConfig(**options),
        same_classes=False,
        changes={"input_size": (65, 65)},
    )


def weights(folder):
    return stored_arrays(folder / "model.weights.h5")


def results(folder):
    return list(csv.DictReader((folder / "results.csv").read_text().splitlines()))


# A run


def test_the_model_has_the_classes_of_the_data(run, shapes):
    mine, _ = run
    assert len(mine.label_set) == 3
    assert mine.config.output_stride == 8
    result = mine.segment_image(shapes / "images/val/0.png")
    assert result.labels.shape == (64, 64)


def test_the_folder_is_a_bundle_with_all_there_is_to_know(run):
    _, folder = run
    names = {path.name for path in folder.iterdir()}
    assert {
        "config.json",
        "labels.json",
        "model.weights.h5",
        "card.md",
        "last",
        "state.npz",
    } < names
    assert {"results.csv", "config.yaml", "report.html", "scores.json", "curves.png"} < names
    assert not [name for name in names if name.endswith(".part")]
    assert SemanticSegmentation(folder).label_set == SemanticSegmentation(folder / "last").label_set
    assert "2 validation images" in (folder / "card.md").read_text()


def test_each_epoch_has_a_row(run):
    _, folder = run
    rows = results(folder)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [{k: str(v) for k, v in entry.items()} for entry in run[0].history] == rows
    assert list(rows[0])[:8] == [
        *("epoch", "phase", "seconds", "learning_rate"),
        *("loss", "val_loss", "val_mean_iou", "val_pixel_accuracy"),
    ]
    assert len([name for name in rows[0] if name.startswith("val_iou/")]) == 3
    assert all(float(row["loss"]) > 0 and float(row["val_loss"]) > 0 for row in rows)


def test_the_best_epoch_is_what_the_report_measures(run):
    _, folder = run
    rows = results(folder)
    scores = json.loads((folder / "scores.json").read_text())
    best = max(float(row["val_mean_iou"]) for row in rows)
    assert scores["mean_iou"] == pytest.approx(best, abs=1e-6)


def test_the_settings_say_what_was_done(run, shapes):
    _, folder = run
    settings = read_settings(folder)
    assert settings["data"]["source"] == str(shapes)
    assert settings["data"]["images"] == {"train": 6, "val": 2}
    assert settings["start"].endswith("start")
    assert TrainConfig.from_dict(settings["training"]).crop == (65, 65)
    assert settings["versions"]["keras"] == keras.__version__
    assert "the initial model was never trained" in settings["notes"][0]
    assert (
        "the initial model was never trained"
        in (folder / "report.html").read_text().split("<h2>")[1]
    )


def test_callbacks_hear_of_the_validation(run, listener):
    assert [epoch for epoch, _ in listener.entries] == [0, 1]
    metrics = listener.entries[0][1].keys()
    assert {"loss", "val_loss", "val_mean_iou", "val_pixel_accuracy"} <= metrics


@pytest.mark.slow
def test_tensorboard_shows_every_epoch(run, shapes, tmp_path):
    """With a frozen phase, in which Keras's `fit` is called twice; the graph is logged too."""
    pytest.importorskip("tensorboard", reason="pip install easyseg[test]")
    import tensorflow as tf

    mine, _ = run
    options = {**QUICK, "epochs": 3, "freeze_backbone_epochs": 1}
    callback = keras.callbacks.TensorBoard(tmp_path / "logs")
    trained = mine.fine_tune(
        shapes, run_dir=tmp_path / "run", callbacks=[callback], progress=False, **options
    )
    shown = {}
    for file in sorted((tmp_path / "logs").rglob("events.*")):
        for raw in tf.data.TFRecordDataset(str(file), buffer_size=262144):
            event = tf.compat.v1.Event.FromString(raw.numpy())
            for value in event.summary.value:
                if value.tag.startswith("epoch_"):
                    name = ("val_" if file.parent.name == "validation" else "") + value.tag[6:]
                    number = tf.make_ndarray(value.tensor).item()
                    shown.setdefault(name, {})[event.step] = number
    names = {"loss", "learning_rate", "val_loss", "val_mean_iou", "val_pixel_accuracy"}
    assert shown.keys() == names
    for name in names:
        expected = {i: epoch[name] for i, epoch in enumerate(trained.history)}
        assert shown[name] == pytest.approx(expected, rel=1e-6)


def test_a_finished_run_is_not_trained_again(run, shapes, caplog):
    mine, folder = run
    before = (folder / "state.npz").read_bytes()
    again = SemanticSegmentation.resume(folder, progress=False)
    assert f"{folder} is finished after 2 epochs, so nothing is trained" in caplog.text
    assert (folder / "state.npz").read_bytes() == before
    assert all(map(np.array_equal, mine.model.get_weights(), again.model.get_weights()))


def test_other_choices_for_a_finished_run_are_for_a_new_one(run, shapes):
    mine, folder = run
    cure = "it is finished, so choose another run_dir, and model="
    with pytest.raises(ConfigError, match=f"started with epochs=2, not 4; {cure}"):
        mine.fine_tune(shapes, run_dir=folder, resume=True, epochs=4)
    with pytest.raises(ConfigError, match=f"another network; {cure}"):
        mine.fine_tune(shapes, run_dir=folder, resume=True, output_stride=16)


@pytest.mark.slow
def test_a_run_that_is_stopped_says_how_it_goes_on(run, shapes, tmp_path):
    """From a start with the classes of the data, whose score is compared."""
    mine, _ = run

    class Stops(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    options = {"run_dir": tmp_path / "again", "progress": False, **QUICK}
    with pytest.raises(Stopped) as caught:
        mine.fine_tune(shapes, callbacks=[Stops()], **options)
    assert caught.value.run_dir == tmp_path / "again"
    assert f"SemanticSegmentation.resume('{tmp_path / 'again'}')" in str(caught.value)
    with pytest.raises(ConfigError, match="batch_size=2, not 4; leave it out to resume"):
        mine.fine_tune(shapes, **{**options, "batch_size": 4}, resume=True)
    with pytest.raises(ConfigError, match="another network; leave output_stride out to resume"):
        mine.fine_tune(shapes, **options, resume=True, output_stride=16)
    tuned = mine.fine_tune(shapes, **options, resume=True)
    assert len(tuned.history) == 2
    before = mine.evaluate(shapes, split="val", boundary=False, progress=False).mean_iou
    assert f" (initial model: {before:.4f}), " in (tmp_path / "again/card.md").read_text()


@pytest.mark.parametrize(("before", "after", "said"), [(0.937, 0.917, 1), (0.9, 0.917, 0)])
def test_a_model_that_is_worse_than_its_start_is_said(run, shapes, caplog, before, after, said):
    started = dataclasses.replace(plan(shapes), start_mean_iou=before)
    warn_if_below_start(started, {"val_mean_iou": after}, "voc")
    text = (
        "worse than the initial one: mean IoU 0.9170, and voc has 0.9370 on the same 2 validation"
    )
    assert caplog.text.count(text) == said


def test_choices_that_are_left_open_are_those_of_the_run(run, shapes):
    mine, folder = run
    mine.fine_tune(
        shapes,
        run_dir=folder,
        resume=True,
        crop=None,
        freeze_backbone_epochs=None,
        progress=False,
    )
    with pytest.raises(ConfigError, match="started with crop="):
        mine.fine_tune(shapes, run_dir=folder, resume=True, crop=97)


def test_a_run_goes_on_with_its_own_data_only(run, shapes, tmp_path):
    _, folder = run
    other = paint(tmp_path / "other", train=4)
    shutil.copy(shapes / "classes.txt", other)
    with pytest.raises(TrainingError, match=r"started with .*6.* images, and now there are .*4"):
        SemanticSegmentation.resume(folder, data=other)


def test_a_report_that_is_written_again_keeps_the_curves(run, shapes, tmp_path):
    copy = shutil.copytree(run[1], tmp_path / "copy")
    (copy / "curves.png").unlink()
    resumed = SemanticSegmentation.resume(copy, progress=False, flip=True)
    assert (copy / "curves.png").is_file()
    (copy / "curves.png").unlink()
    resumed.evaluate(shapes, report=copy, progress=False)
    assert (copy / "curves.png").is_file()
    page = (copy / "report.html").read_text("utf-8")
    assert "training.loss" in page
    assert "mirror image" in page  # `resume` takes inference options


def test_odd_names_of_classes_arrive_everywhere(run, shapes):
    mine, folder = run
    assert open_dataset(shapes).label_set.names == NAMES
    assert mine.label_set.names == SemanticSegmentation(folder / "last").label_set.names == NAMES
    assert [key for key in results(folder)[0] if "iou/" in key] == [f"val_iou/{n}" for n in NAMES]
    scores = json.loads((folder / "scores.json").read_text("utf-8"))
    assert [entry["name"] for entry in scores["classes"]] == list(NAMES)
    page = (folder / "report.html").read_text("utf-8")
    assert all(html.escape(name) in page for name in NAMES)
    assert "<b>" not in page
    for chart in ("per_class_iou.png", "confusion_matrix.png", "curves.png", "samples.png"):
        height, width, _ = read_image(folder / chart).shape
        assert height * width < 6e6


# Names and folders


def test_a_name_that_is_taken_gets_a_number(tmp_path):
    names = [new_run_dir(tmp_path / "runs/mine").name for _ in range(3)]
    assert names == ["mine", "mine-2", "mine-3"]


@pytest.mark.slow
def test_some_of_the_classes_in_colors_of_ones_own(shapes, tmp_path):
    """A run that goes on reads its data as it began."""
    labels = LabelSet("mine", ("floor", "R", "G"), ((9, 9, 9), (1, 2, 3), (4, 5, 6)))
    data = open_with_options(shapes, DatasetOptions(classes=labels, ignore=["floor"]))
    with pytest.raises(StopError):
        fine_tune(
            start(), data, start_name="s", run_dir=tmp_path / "shapes",
            progress=False, callbacks=[Stops()], options=QUICK,
        )  # fmt: skip
    folder = resume_training(tmp_path / "shapes", progress=False).model.folder
    assert read_settings(folder)["data"]["options"] == {
        "classes": ["floor", "R", "G"],
        "ignore": ["floor"],
    }
    labels = read_bundle(folder).label_set
    assert (labels.names, labels.palette) == (("R", "G"), ((1, 2, 3), (4, 5, 6)))
    with pytest.raises(TrainingError, match=r"on 2 classes, but .* has others; .*`classes`"):
        fine_tune(
            start(), open_dataset(shapes), start_name="s", run_dir=folder, resume=True, options={}
        )


def test_two_runs_in_one_folder_are_refused(run):
    _, folder = run
    with (
        locked(folder),
        pytest.raises(TrainingError, match="another run is using"),
    ):
        SemanticSegmentation.resume(folder)
    with filelock.FileLock(folder / ".lock", timeout=0):
        pass


@pytest.mark.parametrize("run_dir", ["..", ".", "/", "runs/.."])
def test_a_run_directory_needs_a_name(shapes, run_dir):
    with pytest.raises(InputError, match=r"has no name of its own; give a directory such as runs"):
        fine_tune(start(), open_dataset(shapes), start_name="s", run_dir=run_dir, options={})


def test_a_run_that_was_killed_before_its_first_state_begins_in_its_folder(
    shapes, tmp_path, monkeypatch
):
    class KilledError(Exception):
        pass

    def killed(plan, folder, **options):
        raise KilledError

    def tune(**options):
        fine_tune(
            start(),
            open_dataset(shapes),
            start_name="s",
            run_dir=tmp_path / "mine",
            options=QUICK,
            **options,
        )

    monkeypatch.setattr("easyseg.training.fine_tune.train", killed)
    for _ in range(2):
        with pytest.raises(KilledError):
            tune(resume=True)
        assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    with pytest.raises(TrainingError, match=r"before its first state, and its initial .* memory"):
        SemanticSegmentation.resume(tmp_path / "mine")
    with locked(tmp_path / "mine"), pytest.raises(TrainingError, match="another run is using"):
        tune(resume=True)
    with pytest.raises(KilledError):
        tune()
    (tmp_path / "mine/notes.txt").write_text("the user's own")
    with pytest.raises(KilledError):
        tune(resume=True)
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "mine-2", "mine-3"}


def test_resuming_a_run_that_was_stopped_before_its_first_state_begins_it(
    shapes, tmp_path, monkeypatch, capsys
):
    plans = []

    def stopped(plan, folder, **options):
        plans.append((plan, folder, options["start"].config))
        raise KeyboardInterrupt

    monkeypatch.setattr("easyseg.training.fine_tune.train", stopped)
    save_bundle(tmp_path / "start", *start()[:3])
    run, typed = tmp_path / "mine", ["--epochs", "3", "--set", "aspp_rates=2,4", "--crop", "65"]
    for words in ([shapes, "-o", run, "-m", tmp_path / "start", *typed], ["--resume", run]):
        with pytest.raises(SystemExit, match="130"):
            main(["train", *map(str, words)])
        assert capsys.readouterr().err.endswith(f"To resume: easyseg train --resume {run}\n")
    (plan, folder, config), (again, same_folder, same_config) = plans
    assert folder == same_folder == run
    assert (plan.config, plan.model, config) == (again.config, again.model, same_config)
    assert (plan.model.aspp_rates, plan.config.epochs) == ((2, 4), 3)
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "start"}
    settings = read_settings(run)
    save_bundle(tmp_path / "start", *start(dropout=0.1, head_channels=32)[:3])
    with pytest.raises(TrainingError, match="its initial model has changed; start it again with"):
        SemanticSegmentation.resume(run)
    write_settings(run, {**settings, "begin": {"model": [3]}})
    with pytest.raises(TrainingError, match=r"config.yaml is damaged; start a new run"):
        SemanticSegmentation.resume(run)
    write_state(run, State(0, 0, 2, 1, [], None, False, [], [], []))
    (run / "state.npz").rename(run / "old.npz")  # not bare, so not stopped early
    with pytest.raises(TrainingError, match=r"state\.npz is missing"):
        SemanticSegmentation.resume(run)


def test_a_folder_without_a_run_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(
            TrainingError, match=r"config.yaml is missing; give the directory of a "
        ):
            SemanticSegmentation.resume(folder)
    assert not list(tmp_path.iterdir())


def test_a_wrong_choice_is_named_before_anything_is_made(shapes, tmp_path):
    def tune(**options):
        fine_tune(
            start(),
            open_dataset(shapes),
            start_name="s",
            run_dir=tmp_path / "runs/a",
            options=options,
        )

    for wrong, suggested in (
        ("epoch", "epochs"),
        ("lr", "learning_rate"),
        ("output_strid", "output_stride"),
    ):
        with pytest.raises(ConfigError, match=f"unknown training option '{wrong}'.*'{suggested}'"):
            tune(**{wrong: 3})
    for options, message in (
        ({"num_classes": 5}, "num_classes is that of the data set; choose"),
        ({"loss": "dise"}, "loss='dise': unknown loss 'dise'. Did you mean 'dice'"),
        ({"augment": ["flp"]}, "augment=: unknown augmentation step 'flp'"),
        ({"output_stride": 5}, "output_stride: expected 8, 16 or 32"),
    ):
        with pytest.raises(ConfigError, match=message):
            tune(**options)
    assert not (tmp_path / "runs").exists()


# What goes wrong on the way


class BreaksWeights(keras.callbacks.Callback):
    """An update that leaves no numbers, the last one of the second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1 and batch == 2:
            bias = self.model.trainable_variables[-1]
            bias.assign(bias * float("nan"))


@pytest.mark.slow
def test_weights_that_the_last_update_breaks_are_not_kept(shapes, tmp_path):
    with pytest.raises(TrainingError, match="validation loss became nan after epoch 2"):
        train(plan(shapes), tmp_path, start=start(), callbacks=[BreaksWeights()], progress=False)
    assert read_state(tmp_path).epoch == 1
    assert all(np.isfinite(weight).all() for weight in weights(tmp_path / "last").values())


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_the_run(shapes, tmp_path):
    choices = {"learning_rate": 1e30, "optimizer": "sgd", "warmup_epochs": 0, "epochs": 3}
    with pytest.raises(TrainingError) as caught:
        train(plan(shapes, **choices), tmp_path, start=start(), progress=False)
    message = str(caught.value)
    assert "the loss became" in message
    assert "batch 2 of 3" in message or "batch 3 of 3" in message
    assert f"{shapes}/images/train/" in message
    assert "at learning rate " in message
    assert all(np.isfinite(value).all() for value in weights(tmp_path / "last").values())
    assert read_state(tmp_path).epoch == 0


class OutOfMemory(keras.callbacks.Callback):
    """Raises what TensorFlow raises, for batches of more than so many images."""

    def __init__(self, limit, batches):
        super().__init__()
        self.limit, self.batches = limit, batches

    def on_train_batch_begin(self, batch, logs=None):
        import tensorflow as tf

        self.batches.append(self.params["steps"])
        if 6 / self.params["steps"] > self.limit and batch == 1:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


@pytest.mark.slow
def test_a_batch_that_does_not_fit_is_halved(shapes, tmp_path, caplog):
    sizes = []
    train(
        plan(shapes, batch_size=3, epochs=1),
        tmp_path,
        start=start(),
        progress=False,
        callbacks=[OutOfMemory(1, sizes)],
    )
    state = read_state(tmp_path)
    assert (state.batch_size, state.accumulate, state.epoch) == (1, 2, 1)
    assert sizes == [2, 2, 6, 6, 6, 6, 6, 6]
    assert caplog.text.count("training continues with batch size 1 and accumulate=2") == 1


@pytest.mark.parametrize("room", [2, 0])
def test_new_norms_are_measured_with_as_many_images_as_fit(
    shapes, tmp_path, monkeypatch, caplog, room
):
    sizes = []

    def small(network, new, batches):
        def fitting():
            for batch in batches:
                if len(batch) > room:
                    raise MemoryError
                sizes.append(len(batch))
                yield batch

        measure(network, new, fitting())

    monkeypatch.setattr("easyseg.training.trainer.measure", small)
    trainer = Trainer(plan(shapes), tmp_path, (), progress=False)
    if not room:
        with pytest.raises(TrainingError, match="too small for a batch of one image"):
            trainer.initial_state(start())
        return
    trainer.initial_state(start())
    assert sizes == [2] * 16
    assert caplog.text.count("memory is too small to measure") == 2
    assert not unmeasured(trainer.network)


def test_memory_that_is_too_small_for_one_image(run):
    _, folder = run
    with pytest.raises(TrainingError, match="too small for a batch of one image; choose a smaller"):
        halved(read_state(folder)._replace(batch_size=1), MemoryError(), TrainConfig())


def test_trained_batch_norms_do_not_come_to_a_batch_of_one(run):
    state = read_state(run[1])._replace(batch_size=5)
    assert halved(state, MemoryError(), TrainConfig(batch_norm="trained")).batch_size == 2
    state = state._replace(batch_size=3)
    assert halved(state, MemoryError(), TrainConfig()).batch_size == 1
    with pytest.raises(TrainingError, match=r"batches of 3 images.*start again with batch_norm="):
        halved(state, MemoryError(), TrainConfig(batch_norm="trained"))


@pytest.mark.slow
def test_the_running_mean_goes_on_after_a_later_epoch_was_halved(shapes, tmp_path):
    class Later(OutOfMemory):
        def on_epoch_begin(self, epoch, logs=None):
            self.limit = 6 if epoch == 0 else 1

    choices = {"batch_size": 3, "epochs": 3, "ema": 0.9}
    train(
        plan(shapes, **choices), tmp_path, start=start(), progress=False, callbacks=[Later(6, [])]
    )
    state = read_state(tmp_path)
    assert (state.batch_size, state.accumulate, state.epoch) == (1, 2, 3)
    assert [row["epoch"] for row in state.history] == [1, 2, 3]
    last = weights(tmp_path / "last")["tiny1/weights"]
    [current] = [value for value in state.model if value.shape == last.shape]
    distance = np.linalg.norm(last - current)
    assert 0 < distance < 0.1 * np.linalg.norm(current)  # a mean started at 0 would be far off


class FullDisk(keras.callbacks.Callback):
    """From an epoch on, no file can grow beyond some bytes."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            resource.setrlimit(
                resource.RLIMIT_FSIZE, (5_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
            )


@pytest.mark.slow
def test_a_full_disk_leaves_the_epoch_before(shapes, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OutputError, match="Cannot write"):
            train(
                plan(shapes, epochs=3),
                tmp_path,
                start=start(),
                progress=False,
                callbacks=[FullDisk(1)],
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    state = read_state(tmp_path)
    assert state.epoch == 1
    assert not list(tmp_path.rglob(".*.part"))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".last")]
    last = weights(tmp_path / "last")
    assert any(np.array_equal(value, last["tiny1/weights"]) for value in state.model)
    assert read_bundle(tmp_path).config.num_classes == 3


def test_a_disk_that_is_full_at_the_end_leaves_the_best_epoch(run, tmp_path):
    _, folder = run
    copy = shutil.copytree(folder, tmp_path / "copy")
    for name in ("report.html", "scores.json", "curves.png"):
        (copy / name).unlink()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, limits[1]))
        with pytest.raises(OutputError, match=r"Cannot write .*copy/"):
            resume_training(copy, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(copy.rglob(".*.part"))
    assert all(map(np.array_equal, weights(copy).values(), weights(folder).values()))
    resume_training(copy, progress=False)
    assert (copy / "report.html").is_file()


def scores(counts):
    labels = load_label_set("voc")
    confusion = ConfusionMatrix(len(labels))
    confusion.counts[: len(counts), : len(counts)] = counts
    return Scores(confusion, map_classes(labels, labels), ())


def test_one_class_everywhere_is_said(caplog):
    assert warn_if_one_class(scores([[900, 1], [100, 1]]))
    assert "predicts 'background' on 99.8 % of the validation pixels" in caplog.text
    assert "class_weights" in caplog.text


@pytest.mark.parametrize("counts", [[[900, 0], [60, 40]], [[900, 0], [0, 0]]])
def test_other_results_are_not_called_so(counts, caplog):
    assert not warn_if_one_class(scores(counts))
    assert not caplog.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("choices", "last"),
    [({}, 3), ({"freeze_backbone_epochs": 3}, 5), ({"freeze": "backbone"}, 3)],
)
def test_patience_ends_a_run_that_gets_no_better(shapes, tmp_path, choices, last):
    """Epochs with a backbone that is frozen for a while do not count."""
    choices = {"learning_rate": 1e-9, "patience": 2, "epochs": 9, **choices}
    train(plan(shapes, **choices), tmp_path, start=start(), progress=False)
    state = read_state(tmp_path)
    assert state.ended
    assert state.best == 0
    assert state.epoch == last


@pytest.mark.slow
def test_a_keras_model_of_ones_own(shapes, tmp_path):
    """It is trained as any backbone: held still first, and taken along in the run folder."""
    image = keras.Input((None, None, 3))
    x = image
    for i in range(4):
        x = keras.layers.Conv2D(  # with biases as a trained one has
            8, 3, strides=2, padding="same", name=f"block{i}", bias_initializer="random_normal"
        )(x)
    seg = SemanticSegmentation.create(
        keras.Model(image, x, name="mine"), low="block1", high="block3", num_classes=2,
        head_channels=8, input_size=(65, 65),
    )  # fmt: skip
    mine = seg.fine_tune(
        shapes,
        run_dir=tmp_path / "shapes",
        progress=False,
        **{**QUICK, "epochs": 2, "freeze_backbone_epochs": 1},
    )
    assert [row["phase"] for row in results(tmp_path / "shapes")] == ["frozen", "all"]
    assert mine.config.graph == seg.config.graph
    assert len(mine.label_set) == 3


@pytest.mark.slow
@pytest.mark.parametrize("resume", [False, True])
def test_two_runs_of_one_name_at_once(tmp_path, resume):
    shapes = paint(tmp_path / "shapes")
    both = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "helpers.simultaneous_training",
                shapes,
                tmp_path / "runs",
                str(resume),
            ],
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    (shapes / "go").touch()
    outputs = sorted(process.communicate(timeout=300)[0].strip() for process in both)
    folders = {path.name for path in (tmp_path / "runs").iterdir()}
    if resume and len(folders) == 1:
        assert outputs[0].startswith("another run is using")
        assert outputs[1] == "mine"
    else:
        assert outputs == ["mine", "mine-2"]
        assert folders == set(outputs)
    for folder in (tmp_path / "runs").iterdir():
        assert read_state(folder).ended
        assert (folder / "report.html").is_file()
