"""Keras's optimizers, with the weight decay of DeepLab."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from easyseg._keras import keras
from easyseg.errors import ConfigError
from easyseg.training.schedules import Schedule
from easyseg.utils.registry import unknown_name

MOMENTUM = 0.9
# norms and biases: "gamma", "conv/bias", TensorFlow's "conv/bias:0"
NOT_DECAYED = [r"(^|/)(gamma|beta|bias)(:\d+)?$"]

OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "adamw": keras.optimizers.AdamW,
    "adam": keras.optimizers.Adam,
    "sgd": functools.partial(keras.optimizers.SGD, momentum=MOMENTUM),
}


def make_optimizer(
    name: str,
    *,
    schedule: Schedule,
    weight_decay: float = 0.0,
    clipnorm: float | None = None,
    accumulate: int = 1,
    ema: float | None = None,
) -> Any:
    """A Keras optimizer.

    Args:
        name: An entry of `OPTIMIZERS`.
        schedule: Learning rate of each update.
        weight_decay: Fraction of a weight, times the learning rate, that each update subtracts,
            decoupled from the gradient. Norms and biases do not decay.
        clipnorm: Largest norm of the gradient of one variable; `None` for no limit.
        accumulate: Batches whose mean gradient makes one update. `iterations` of the optimizer
            and `schedule` count updates.
        ema: Momentum, per update, of the running mean of the weights; `None` for none. Keras keeps
            the mean beside the weights.

    Raises:
        ConfigError: No such optimizer.

    References:
        Sutskever et al., "On the importance of initialization and momentum in deep learning",
        ICML 2013 (momentum). Kingma and Ba, "Adam", ICLR 2015, https://arxiv.org/abs/1412.6980.
        Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019,
        https://arxiv.org/abs/1711.05101. Polyak and Juditsky, "Acceleration of Stochastic
        Approximation by Averaging", SIAM J. Control Optim. 1992 (the running mean).
    """
    if name not in OPTIMIZERS:
        raise ConfigError(str(unknown_name("optimizer", name, OPTIMIZERS)))
    # Keras asks for a rate, and moves the mean of the weights, with every batch.
    per_batch = Schedule(**{**schedule.get_config(), "batches_per_update": accumulate})
    optimizer = OPTIMIZERS[name](
        per_batch,
        weight_decay=weight_decay,
        clipnorm=clipnorm,
        use_ema=ema is not None,
        ema_momentum=(ema or 0.0) ** (1 / accumulate),
        gradient_accumulation_steps=accumulate if accumulate > 1 else None,
    )
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return optimizer
