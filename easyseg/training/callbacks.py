"""Keras callbacks of a run: batches that are watched, the running mean of weights, the bar."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from tqdm import tqdm

from easyseg._keras import keras, ops
from easyseg.errors import TrainingError
from easyseg.training.data_loader import TrainLoader

__all__ = ["Bar", "NaNCallback", "averaged", "inner_optimizer"]

SHOWN = 4  # files that are named


class NaNCallback(keras.callbacks.Callback):
    """Turns the feed to each epoch, and ends training at the first loss that is no number.

    Args:
        feed: The batches.
    """

    def __init__(self, feed: TrainLoader) -> None:
        super().__init__()
        self._feed = feed
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Turns the feed."""
        self._epoch = epoch
        self._feed.begin(epoch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Looks at the loss, a mean over the epoch so far: no number from one batch on.

        Raises:
            TrainingError: It is no number; names the batch, its files and the learning rate.
        """
        loss = float((logs or {})["loss"])
        if math.isfinite(loss):
            return
        files = self._feed.files(batch)
        more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
        raise TrainingError(
            f"the loss became {loss} in epoch {self._epoch + 1}, batch {batch + 1} of "
            f"{len(self._feed)} ({', '.join(files[:SHOWN])}{more}), at learning rate "
            f"{float(self.model.optimizer.learning_rate):.3g}; choose a smaller learning_rate, or "
            "clip=1.0, and look at these files and their masks."
        )


def inner_optimizer(model: Any) -> Any:
    """The optimizer that updates weights, within the one that scales the loss if there is one."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


@contextlib.contextmanager
def averaged(model: Any) -> Iterator[None]:
    """Puts the running mean of the weights in their place for a while, where there is one."""
    optimizer = inner_optimizer(model)
    if not optimizer.use_ema or not optimizer.built:
        yield
        return
    # as keras.callbacks.SwapEMAWeights does, which swaps at times of its own
    pairs = zip(model.trainable_variables, optimizer._model_variables_moving_average, strict=True)
    own = [
        (variable, ops.convert_to_numpy(variable), ops.convert_to_numpy(mean))
        for variable, mean in pairs
    ]
    for variable, _, mean in own:
        variable.assign(mean)
    try:
        yield
    finally:
        for variable, value, _ in own:
            variable.assign(value)


class Bar(keras.callbacks.Callback):
    """One progress bar over all epochs, with the loss and the last mean IoU.

    Args:
        total: Batches of all epochs.
        done: Batches of the epochs that a resumed run has done.
        shown: Whether there is a bar at all.
    """

    def __init__(self, *, total: int, done: int, shown: bool) -> None:
        super().__init__()
        self._bar = tqdm(total=total, initial=done, unit="batch", disable=not shown)
        self._figures: dict[str, str] = {}

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Shows the number of the epoch."""
        self._bar.set_description(f"epoch {epoch + 1}")

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Moves on."""
        self._figures["loss"] = f"{(logs or {})['loss']:.3f}"
        self._bar.set_postfix(self._figures, refresh=False)
        self._bar.update()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Shows the validation figure."""
        self._figures["mIoU"] = f"{(logs or {}).get('val_mean_iou', math.nan):.3f}"
        self._bar.set_postfix(self._figures)

    def close(self) -> None:
        """Leaves the bar as it is."""
        self._bar.close()
