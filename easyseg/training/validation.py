"""After each epoch: figures on validation images, files, and whether to go on."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from easyseg._keras import backend, keras, ops
from easyseg.errors import TrainingError
from easyseg.evaluation.evaluate import Scores, evaluate
from easyseg.inference.predictor import Predictor
from easyseg.training.callbacks import averaged, inner_optimizer
from easyseg.training.data_loader import ValLoader, spread, stream
from easyseg.training.distribution import shares
from easyseg.training.plan import Plan, phases
from easyseg.training.run_dir import LAST, State, write_results, write_state
from easyseg.training.sample_cache import SampleCache
from easyseg.weights.bundle import save_bundle, update_bundle

__all__ = ["ValidateAndSave", "card", "warn_if_one_class"]

log = logging.getLogger(__name__)

LOSS_IMAGES = 64  # that the validation loss is of, at most
ONE_CLASS = 0.995  # share of pixels that make a result "one class everywhere"


class ValidateAndSave(keras.callbacks.Callback):
    """Measures each epoch, writes what it gave, and ends the run when patience is over.

    Comes before the user's own callbacks, which find `val_mean_iou`, `val_pixel_accuracy` and
    `val_loss` in their logs.

    Args:
        folder: The run's.
        plan: The run.
        network: Its network; the model that `fit` trains shares its variables.
        state: What the next epoch begins with; `state` is always that of the last epoch done.
        phase: Number of the phase.
        name: Its name.
    """

    def __init__(
        self, folder: Path, plan: Plan, network: Any, state: State, *, phase: int, name: str
    ) -> None:
        super().__init__()
        self.state = state
        self._folder, self._plan, self._network = folder, plan, network
        self.phase, self._name = phase, name
        self._images = spread(plan.val, plan.config.val_images)
        some = SampleCache(
            spread(self._images, LOSS_IMAGES),
            canvas=plan.model.input_size,
            memory=plan.config.cache_mb * 2**20 // 4,
        )
        self._still = stream(
            ValLoader(
                some,
                plan.model.input_size,
                batch_size=state.batch_size,
                parts=shares(distribute=plan.config.distribute),
            )
        )
        self._predictor: Predictor | None = None
        self._warned = False

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Looks at the clock."""
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures and writes.

        Raises:
            OutputError: A file cannot be written; those of the epoch before stay.
            TrainingError: The validation loss is no number; the same.
        """
        logs = {} if logs is None else logs
        seconds = time.perf_counter() - self._begun
        with averaged(self.model):
            scores = evaluate(self.predictor(), self._images, boundary=False)
            loss = self.model.evaluate(self._still, verbose=0, return_dict=True)["loss"]
            _require_number(loss, epoch, float(inner_optimizer(self.model).learning_rate))
            logs |= {
                "val_loss": float(loss),
                "val_mean_iou": scores.mean_iou,
                "val_pixel_accuracy": scores.pixel_accuracy,
            }
            rows = [*self.state.rows, self._row(epoch, seconds, logs, scores)]
            best = _better(rows, self.state.best, self._plan.config.monitor)
            self._write_bundles(rows, is_best=best == epoch)
        patience = self._plan.config.patience
        last = phases(self._plan.config)[-1]  # epochs of a warm-up before it do not count
        since = max(best, last.begin - 1)
        out_of_patience = patience is not None and epoch - since >= patience
        self.state = State(
            epoch=epoch + 1,
            phase=self.phase,
            batch_size=self.state.batch_size,
            accumulate=self.state.accumulate,
            rows=rows,
            best=best,
            ended=out_of_patience or epoch + 1 == self._plan.config.epochs,
            new_norms=self.state.new_norms,
            model=[ops.convert_to_numpy(v) for v in self._network.variables],
            optimizer=[ops.convert_to_numpy(v) for v in self.model.optimizer.variables],
        )
        write_state(self._folder, self.state)
        write_results(self._folder, rows)
        if not self._warned and epoch > 0:
            self._warned = warn_if_one_class(scores)
        if out_of_patience:
            log.info("no better epoch for %d epochs; training ends.", patience)
            self.model.stop_training = True

    def predictor(self) -> Predictor:
        """Sees images as the finished model will, with the weights of now."""
        if self._predictor is None or backend() != "tensorflow":  # others compile the weights in
            self._predictor = Predictor(
                self._network, self._plan.label_set, input_size=self._plan.model.input_size
            )
        return self._predictor

    def _row(
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

    def _write_bundles(self, rows: list[dict[str, Any]], *, is_best: bool) -> None:
        plan, text = self._plan, card(self._plan, rows[-1])
        if is_best:
            update_bundle(self._folder, self._network, plan.model, plan.label_set, card=text)
        save_bundle(self._folder / LAST, self._network, plan.model, plan.label_set, card=text)


def _require_number(loss: float, epoch: int, rate: float) -> None:
    """Raises if the last update of an epoch, after which no training loss is seen, broke it."""
    if not math.isfinite(loss):
        raise TrainingError(
            f"the validation loss became {loss} after epoch {epoch + 1}, at learning rate "
            f"{rate:.3g}: the weights are no numbers any more. Those of the epoch before are kept; "
            "choose a smaller learning_rate, or clip=1.0."
        )


def _better(rows: list[dict[str, Any]], best: int | None, monitor: str) -> int:
    """Row of the best epoch, the last row included; of equals the earlier one."""
    sign = -1 if monitor == "loss" else 1
    new, old = (
        -math.inf
        if row is None or math.isnan(row[f"val_{monitor}"])
        else sign * row[f"val_{monitor}"]
        for row in (rows[-1], None if best is None else rows[best])
    )
    return len(rows) - 1 if best is None or new > old else best


def card(plan: Plan, row: Mapping[str, Any] | None) -> str:
    """What a bundle of the run says about itself, in Markdown; without a row, before training."""
    about = (
        f"# Trained on {plan.data.name}\n\n"
        f"{plan.model.backbone}, {len(plan.label_set)} classes, {len(plan.train)} training images."
        "\n\n"
    )
    if row is None:
        return about + "Before the first epoch.\n"
    return about + (
        f"Epoch {row['epoch']}. "
        f"On {min(len(plan.val), plan.config.val_images)} validation images at their own sizes: "
        f"mean IoU {row['val_mean_iou']:.4f}, pixel accuracy {row['val_pixel_accuracy']:.4f}.\n"
    )


def warn_if_one_class(scores: Scores) -> bool:
    """Says so where a model finds one class everywhere though there are more, and likely causes.

    Returns:
        Whether it did.
    """
    found = scores.confusion.counts.sum(0)
    share = found.max() / max(found.sum(), 1)
    if share < ONE_CLASS or np.count_nonzero(scores.confusion.counts.sum(1)) < 2:
        return False
    log.warning(
        "the model finds %r on %.1f %% of the validation pixels, and hardly anything else. Likely "
        "causes: masks whose ids are not what they should be (`easyseg check` shows them); one "
        'class that outweighs the others (class_weights="auto", loss="cross_entropy+dice"); a '
        "learning rate that is far too large or too small; too few epochs.",
        scores.label_set.names[int(found.argmax())],
        100 * share,
    )
    return True
