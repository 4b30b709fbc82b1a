"""What the choices of a plan name: augmenter, loss, optimizer."""

from __future__ import annotations

import math
from typing import Any

from easyseg.datasets.class_weights import median_frequency_weights
from easyseg.errors import ConfigError
from easyseg.training.augmentation import DEFAULT_STEPS, Augmenter
from easyseg.training.distribution import shares
from easyseg.training.optimizers import make_optimizer
from easyseg.training.plan import Phase, Plan, phases
from easyseg.training.schedules import make_schedule
from easyseg.training.segmentation_loss import SegmentationLoss, make_loss

__all__ = ["augmenter_of", "check_parts", "loss_of", "optimizer_of"]

RATES = {"sgd": 7e-3}  # DeepLab's, for batches of 16
RATE = 5e-4  # of the Adam family


def augmenter_of(plan: Plan) -> Augmenter:
    """Makes crops of the plan's size."""
    steps = DEFAULT_STEPS if plan.config.augment is None else plan.config.augment
    return Augmenter(steps, crop=plan.config.crop or plan.model.input_size)


def loss_of(plan: Plan) -> SegmentationLoss:
    """With the weights of the classes, by their pixels if they shall be found."""
    weights: Any = plan.config.class_weights
    if weights == "auto":
        weights = median_frequency_weights(plan.pixels)
    return make_loss(plan.config.loss, classes=len(plan.label_set), class_weights=weights)


def optimizer_of(plan: Plan, phase: Phase, *, batches: int, accumulate: int) -> Any:
    """The optimizer of a phase, with its schedule; a phase that is not the last has one rate.

    Args:
        plan: The run.
        phase: Its phase.
        batches: Of an epoch.
        accumulate: Batches whose gradients make one update.
    """
    config = plan.config
    steps = max(1, batches * (phase.end - phase.begin) // accumulate)
    schedule = make_schedule(
        config.schedule if phase.end == config.epochs else "constant",
        rate=config.learning_rate or RATES.get(config.optimizer, RATE),
        steps=steps,
        warmup_steps=min(steps - 1, round(config.warmup_epochs * batches / accumulate)),
    )
    return make_optimizer(
        config.optimizer,
        schedule=schedule,
        weight_decay=config.weight_decay,
        clipnorm=config.clipnorm,
        accumulate=accumulate,
        ema=config.ema,
    )


def check_parts(plan: Plan) -> None:
    """Makes all of them once, so that a wrong name is said before anything is written.

    Raises:
        InputError: There is no such loss, step, schedule or optimizer, or a value breaks a rule.
    """
    augmenter_of(plan)
    loss_of(plan)
    config = plan.config
    parts = shares(distribute=config.distribute)
    if config.batch_size % parts:
        raise ConfigError(
            f"batch_size={config.batch_size} cannot be dealt out evenly to {parts} devices; choose "
            f"a multiple of {parts}, or leave distribute out."
        )
    batches = math.ceil(len(plan.train) / config.batch_size)
    for phase in phases(config):
        most = batches * (phase.end - phase.begin)
        if config.accumulate > most:
            raise ConfigError(
                f"accumulate={config.accumulate} makes no update at all in {most} batches "
                f"(epochs {phase.begin + 1} to {phase.end}); choose {most} or less."
            )
    last = Phase("all", 0, plan.config.epochs, frozen=False)
    optimizer_of(plan, last, batches=1, accumulate=plan.config.accumulate)
