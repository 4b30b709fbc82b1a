"""After each epoch: metrics and loss on validation images, files, and whether training ends."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from easyseg._keras import backend, keras, ops
from easyseg.datasets.base import Sample
from easyseg.errors import TrainingError
from easyseg.evaluation.evaluate import evaluate
from easyseg.evaluation.scores import Scores
from easyseg.inference.options import InferenceOptions
from easyseg.inference.predictor import Predictor
from easyseg.inference.types import RawPrediction
from easyseg.training.callbacks import averaged_weights, inner_optimizer
from easyseg.training.data_loader import mask_on_input, spread
from easyseg.training.plan import Plan, build_loss, phases
from easyseg.training.run_dir import LAST, State, write_results, write_state
from easyseg.weights.bundle import save_bundle, update_bundle

log = logging.getLogger(__name__)

LOSS_IMAGES = 64  # largest number of images on which the validation loss is computed
ONE_CLASS = 0.995  # fraction of pixels that makes a result "one class everywhere"


class ValidationLoss:
    """The mean loss of batches of validation images, from the logits that evaluation computes.

    Args:
        plan: The run.
        network: Its network, whose last layer enlarges logits to the input's size.
        samples: Of which the loss is computed; others are ignored.
        batch_size: Images whose loss is computed together.
    """

    def __init__(self, plan: Plan, network: Any, samples: list[Sample], batch_size: int) -> None:
        self._loss = build_loss(plan)
        self._enlarge = network.layers[-1]
        self._input_size = plan.model.input_size
        self._names = {sample.name for sample in samples}
        self._batch_size = batch_size
        self._pending: list[tuple[np.ndarray, np.ndarray]] = []
        self._sum, self._count = 0.0, 0

    def add(self, prediction: RawPrediction) -> None:
        """Adds an image, as `evaluate` observes it."""
        sample, mask = prediction.item
        if sample.name not in self._names or prediction.grid is None:
            return
        self._pending.append((prediction.grid.logits, mask_on_input(mask, self._input_size)))
        if len(self._pending) == self._batch_size:
            self._compute()

    def mean(self) -> float:
        """The mean over the images added."""
        if self._pending:
            self._compute()
        return self._sum / self._count

    def _compute(self) -> None:
        logits, masks = (np.stack(arrays) for arrays in zip(*self._pending, strict=True))
        enlarged = self._enlarge(ops.convert_to_tensor(logits), masks[..., None])
        self._sum += len(masks) * float(self._loss.call(masks, enlarged))
        self._count += len(masks)
        self._pending = []


class ValidateAndSave(keras.callbacks.Callback):
    """Validates each epoch, writes the run directory, and ends the run when patience is over.

    Comes before the user's own callbacks, which get `val_mean_iou`, `val_pixel_accuracy` and
    `val_loss` in their logs.

    Args:
        run_dir: The run's.
        plan: The run.
        network: Its network; the model that `fit` trains shares its variables.
        state: What the next epoch starts with; `state` is always that of the last finished epoch.
        phase: Number of the phase.
        name: Its name.
    """

    def __init__(
        self, run_dir: Path, plan: Plan, network: Any, state: State, *, phase: int, name: str
    ) -> None:
        super().__init__()
        self.state = state
        self._run_dir, self._plan, self._network = run_dir, plan, network
        self.phase, self._name = phase, name
        self._samples = spread(plan.val, plan.config.val_images)
        self._predictor: Predictor | None = None
        self._warned = False

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Starts the clock."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Validates and writes.

        Raises:
            OutputError: A file cannot be written; those of the epoch before stay whole.
            TrainingError: The validation loss is not finite; the same.
        """
        logs = {} if logs is None else logs
        seconds = time.perf_counter() - self._started
        with averaged_weights(self.model):
            scores, loss = self._validate()
            _require_finite(loss, epoch, float(inner_optimizer(self.model).learning_rate))
            logs |= {
                "val_loss": loss,
                "val_mean_iou": scores.mean_iou,
                "val_pixel_accuracy": scores.pixel_accuracy,
            }
            history = [*self.state.history, self._entry(epoch, seconds, logs, scores)]
            best = _best_epoch(history, self.state.best, self._plan.config.monitor)
            text = card(self._plan, history[-1])
            bundle = self._network, self._plan.model, self._plan.label_set
            if best == epoch:
                update_bundle(self._run_dir, *bundle, card=text)
            save_bundle(self._run_dir / LAST, *bundle, card=text)
        patience = self._plan.config.patience
        last = phases(self._plan.config)[-1]  # epochs with a frozen backbone before it do not count
        since = max(best, last.begin - 1)
        out_of_patience = patience is not None and epoch - since >= patience
        self.state = self.state._replace(
            epoch=epoch + 1,
            phase=self.phase,
            history=history,
            best=best,
            ended=out_of_patience or epoch + 1 == self._plan.config.epochs,
            model=[ops.convert_to_numpy(v) for v in self._network.variables],
            optimizer=[ops.convert_to_numpy(v) for v in self.model.optimizer.variables],
        )
        write_state(self._run_dir, self.state)
        write_results(self._run_dir, history)
        if not self._warned and epoch > 0:
            self._warned = warn_if_one_class(scores)
        if out_of_patience:
            log.info("no better epoch for %d epochs; training ends.", patience)
            self.model.stop_training = True

    def _validate(self) -> tuple[Scores, float]:
        """Metrics and loss with the current weights, from one pass over the images."""
        if self._predictor is None or backend() != "tensorflow":  # others compile the weights in
            self._predictor = Predictor(
                self._network,
                self._plan.label_set,
                input_size=self._plan.model.input_size,
                options=InferenceOptions(max_pixels=self._plan.data.options.max_pixels),
            )
        loss = ValidationLoss(
            self._plan,
            self._network,
            spread(self._samples, LOSS_IMAGES),
            self.state.batch_size,
        )
        scores = evaluate(self._predictor, self._samples, boundary=False, observe=loss.add)
        return scores, loss.mean()

    def _entry(
        self, epoch: int, seconds: float, logs: Mapping[str, Any], scores: Scores
    ) -> dict[str, Any]:
        named = zip(scores.label_set.names, scores.iou.tolist(), strict=True)
        return {
            "epoch": epoch + 1,
            "phase": self._name,
            "seconds": round(seconds, 3),
            "learning_rate": float(inner_optimizer(self.model).learning_rate),
            "loss": float(logs["loss"]),
            **{key: logs[key] for key in ("val_loss", "val_mean_iou", "val_pixel_accuracy")},
            **{f"val_iou/{name}": iou for name, iou in named},
        }


def _require_finite(loss: float, epoch: int, rate: float) -> None:
    """Raises if the last update of an epoch, after which there is no training loss, broke it."""
    if not math.isfinite(loss):
        raise TrainingError(
            f"the validation loss became {loss} after epoch {epoch + 1}, at learning rate "
            f"{rate:.3g}: the weights are not finite. Those of the epoch before are kept; choose a "
            "smaller learning_rate, or clipnorm=1.0."
        )


def _best_epoch(history: list[dict[str, Any]], best: int | None, monitor: str) -> int:
    """Index of the best epoch, the last one included; of equal ones the earlier."""
    sign = -1 if monitor == "loss" else 1
    new, old = (
        -math.inf
        if entry is None or math.isnan(entry[f"val_{monitor}"])
        else sign * entry[f"val_{monitor}"]
        for entry in (history[-1], None if best is None else history[best])
    )
    return len(history) - 1 if best is None or new > old else best


def card(plan: Plan, entry: Mapping[str, Any] | None) -> str:
    """The card of a run's bundle, in Markdown; without an entry of the history, before training."""
    about = (
        f"# Trained on {plan.data.name}\n\n"
        f"{plan.model.backbone}, {len(plan.label_set)} classes, {len(plan.train)} training images."
        f" {' '.join(plan.notes)}\n\n"
    )
    if entry is None:
        return about + "Before the first epoch.\n"
    start = "" if plan.start_mean_iou is None else f" (initial model: {plan.start_mean_iou:.4f})"
    return about + (
        f"Epoch {entry['epoch']}. "
        f"On {min(len(plan.val), plan.config.val_images)} validation images at their own sizes: "
        f"mean IoU {entry['val_mean_iou']:.4f}{start}, "
        f"pixel accuracy {entry['val_pixel_accuracy']:.4f}.\n"
    )


def warn_if_below_start(plan: Plan, best: Mapping[str, Any], start_name: str) -> None:
    """Logs a warning if a run's best epoch, of its history, is worse than the initial model."""
    start, mean_iou = plan.start_mean_iou, best["val_mean_iou"]
    if start is None or not mean_iou < start:
        return
    log.warning(
        "the trained model is worse than the initial one: mean IoU %.4f, and %s has %.4f on the "
        "same %d validation images. Keep the initial one, or train with a smaller learning_rate, "
        "more epochs or more images.",
        mean_iou,
        start_name,
        start,
        min(len(plan.val), plan.config.val_images),
    )


def warn_if_one_class(scores: Scores) -> bool:
    """Logs a warning with likely causes if a model predicts one of several classes everywhere.

    Returns:
        Whether it did.
    """
    predicted = scores.confusion.counts.sum(0)
    fraction = predicted.max() / max(predicted.sum(), 1)
    if fraction < ONE_CLASS or np.count_nonzero(scores.confusion.counts.sum(1)) < 2:
        return False
    log.warning(
        "the model predicts %r on %.1f %% of the validation pixels. Likely causes: masks whose ids "
        "are not what they should be (`easyseg check` shows them); one class that outweighs the "
        'others (class_weights="auto", loss="cross_entropy+dice"); a learning rate that is far too '
        "large or too small; too few epochs.",
        scores.label_set.names[int(predicted.argmax())],
        100 * fraction,
    )
    return True
