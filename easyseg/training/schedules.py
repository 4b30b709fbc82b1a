"""Learning rate schedules: a linear warm-up, then one of `SCHEDULES`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from easyseg._keras import keras, ops
from easyseg.errors import ConfigError
from easyseg.utils.registry import unknown_name

Tensor = Any

POWER = 0.9  # DeepLab's
MILESTONES = (1 / 3, 2 / 3, 8 / 9)  # epochs 30, 60 and 80 of 90
DROP = 0.1


def poly(progress: Tensor) -> Tensor:
    """`(1 - t / T) ** 0.9`.

    References:
        Chen et al., "DeepLab" (version 2), TPAMI 2018, https://arxiv.org/abs/1606.00915.
    """
    return (1 - progress) ** POWER


def cosine(progress: Tensor) -> Tensor:
    """Half a period of a cosine, from 1 to 0.

    References:
        Loshchilov and Hutter, "SGDR", ICLR 2017, equation 5, https://arxiv.org/abs/1608.03983.
    """
    return (1 + ops.cos(math.pi * progress)) / 2


def step(progress: Tensor) -> Tensor:
    """A tenth of the rate after each of `MILESTONES`.

    References:
        Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 5.1,
        https://arxiv.org/abs/1706.02677.
    """
    passed = sum(ops.cast(progress >= milestone, "float32") for milestone in MILESTONES)
    return DROP**passed


def constant(progress: Tensor) -> Tensor:
    """1 throughout."""
    return ops.ones_like(progress)


SCHEDULES: dict[str, Callable[[Tensor], Tensor]] = {
    "poly": poly,
    "cosine": cosine,
    "step": step,
    "constant": constant,
}


@keras.saving.register_keras_serializable("easyseg")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Rises to `rate` in `warmup_steps`, then follows a curve to the last of `steps`.

    Args:
        curve: An entry of `SCHEDULES`.
        rate: The highest learning rate, above 0.
        steps: Updates of the run, warm-up included; after the last the rate stays.
        warmup_steps: Updates in which the rate rises linearly, to `rate` at the last of them;
            less than `steps`, or the run ends before the rate is reached.
        batches_per_update: With gradient accumulation: the optimizer asks for a rate with each
            batch.

    Raises:
        ConfigError: No such schedule.

    References:
        Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.2 (warm-up),
        https://arxiv.org/abs/1706.02677.
    """

    def __init__(
        self,
        curve: str,
        rate: float,
        steps: int,
        warmup_steps: int = 0,
        batches_per_update: int = 1,
    ) -> None:
        if curve not in SCHEDULES:
            raise ConfigError(str(unknown_name("schedule", curve, SCHEDULES)))
        self.curve = curve
        self.rate = rate
        self.steps = steps
        self.warmup_steps = warmup_steps
        self.batches_per_update = batches_per_update

    def __call__(self, step: Any) -> Tensor:
        """The learning rate, float32, at batch `step`, from 0."""
        update = ops.floor(ops.cast(step, "float32") / self.batches_per_update)
        progress = (update - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        last = 1 - 1 / max(1, self.steps - self.warmup_steps)
        factor = SCHEDULES[self.curve](ops.clip(progress, 0.0, last))
        if self.warmup_steps:
            factor = ops.minimum((update + 1) / self.warmup_steps, 1.0) * factor
        return self.rate * factor

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        names = ("curve", "rate", "steps", "warmup_steps", "batches_per_update")
        return {name: getattr(self, name) for name in names}
