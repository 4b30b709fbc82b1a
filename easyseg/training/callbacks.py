"""Keras callbacks of a run: the check for NaN, the running mean of weights, the progress bar."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from tqdm import tqdm

from easyseg._keras import keras, ops
from easyseg.errors import TrainingError
from easyseg.training.data_loader import TrainLoader

SHOWN = 4  # files that a message names


class NaNCallback(keras.callbacks.Callback):
    """Tells the loader each epoch, and ends training at the first loss that is not finite.

    Args:
        loader: The batches.
    """

    def __init__(self, loader: TrainLoader) -> None:
        super().__init__()
        self._loader = loader
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Sets the loader's epoch."""
        self._epoch = epoch
        self._loader.set_epoch(epoch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Checks the loss, a mean over the epoch so far.

        Raises:
            TrainingError: It is not finite; names the batch, its files and the learning rate.
        """
        loss = float((logs or {})["loss"])
        if math.isfinite(loss):
            return
        files = self._loader.files(batch)
        more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
        raise TrainingError(
            f"the loss became {loss} in epoch {self._epoch + 1}, batch {batch + 1} of "
            f"{len(self._loader)} ({', '.join(files[:SHOWN])}{more}), at learning rate "
            f"{float(self.model.optimizer.learning_rate):.3g}; choose a smaller learning_rate, or "
            "clipnorm=1.0, and check these files and their masks."
        )


def inner_optimizer(model: Any) -> Any:
    """The optimizer that updates weights, within the one that scales the loss if there is one."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


@contextlib.contextmanager
def averaged_weights(model: Any) -> Iterator[None]:
    """Within, the weights are their running mean, if there is one."""
    optimizer = inner_optimizer(model)
    if not optimizer.use_ema or not optimizer.built:
        yield
        return
    # as keras.callbacks.SwapEMAWeights does, which swaps at other times
    pairs = zip(model.trainable_variables, optimizer._model_variables_moving_average, strict=True)
    saved = [
        (variable, ops.convert_to_numpy(variable), ops.convert_to_numpy(mean))
        for variable, mean in pairs
    ]
    for variable, _, mean in saved:
        variable.assign(mean)
    try:
        yield
    finally:
        for variable, value, _ in saved:
            variable.assign(value)


class Bar(keras.callbacks.Callback):
    """One progress bar over all epochs, with the loss and the last mean IoU.

    Args:
        total: Batches of all epochs.
        initial: Batches of the epochs before a run is resumed.
        shown: Whether there is a bar at all.
    """

    def __init__(self, *, total: int, initial: int, shown: bool) -> None:
        super().__init__()
        self._bar = tqdm(total=total, initial=initial, unit="batch", disable=not shown)
        self._metrics: dict[str, str] = {}

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Shows the number of the epoch."""
        self._bar.set_description(f"epoch {epoch + 1}")

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Counts the batch."""
        self._metrics["loss"] = f"{(logs or {})['loss']:.3f}"
        self._bar.set_postfix(self._metrics, refresh=False)
        self._bar.update()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Shows the validation metric."""
        self._metrics["mIoU"] = f"{(logs or {}).get('val_mean_iou', math.nan):.3f}"
        self._bar.set_postfix(self._metrics)

    def close(self) -> None:
        """Ends the bar, which stays visible."""
        self._bar.close()
