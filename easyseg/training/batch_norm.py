"""Batch norms in fine-tuning: which statistics they normalize with.

Statistics of a small batch are noise, and those of one image after image pooling are constant, so
layers that came with statistics keep them (as DeepLab's `fine_tune_batch_norm=False`); their scale
and offset are trained. New layers take their statistics from the batches if these are large enough;
else they are measured once on training images and frozen.

References:
    Chen et al., DeepLabV3, 2017, section 4.1, https://arxiv.org/abs/1706.05587, trains batch norms
    with batches of 16 and freezes them for the fine-tuning with smaller strides.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from easyseg._keras import keras, layers, ops

log = logging.getLogger(__name__)

LARGE_BATCH = 8
MOMENTUM = 0.9  # 0.9997, of DeepLab's layers, would take 10,000 steps
MIN_VARIANCE = 1e-6  # of a channel below which it counts as constant


@keras.saving.register_keras_serializable("easyseg")
class FrozenStatistics(layers.Layer):
    """Calls a batch norm with its moving statistics, in training too; scale and offset are trained.

    Args:
        norm: The `BatchNormalization`, shared with the network.
    """

    def __init__(self, norm: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.norm = norm

    def call(self, x: Any, mask: Any = None) -> Any:
        """`(N, H, W, C)` -> `(N, H, W, C)`."""
        return self.norm(x, training=False, mask=mask)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Plain values, as callbacks that log the network's graph want them."""
        return {**super().get_config(), "norm": keras.saving.serialize_keras_object(self.norm)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FrozenStatistics:
        """The layer, with a batch norm of its own."""
        norm = keras.saving.deserialize_keras_object(config["norm"])
        return cls(**{**config, "norm": norm})


def batch_norms(network: Any) -> list[Any]:
    """The batch norms of a network, in graph order."""
    return [layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)]


def unmeasured(network: Any) -> list[Any]:
    """Batch norms whose statistics are still those of a new layer: mean 0 and variance 1."""
    return [
        norm
        for norm in batch_norms(network)
        if not np.any(ops.convert_to_numpy(norm.moving_mean))
        and np.all(ops.convert_to_numpy(norm.moving_variance) == 1)
    ]


def frozen_norms(network: Any, new: Collection[Any], choice: str, batch_size: int) -> list[Any]:
    """Batch norms whose statistics are frozen in this run.

    Args:
        network: What is trained.
        new: Its batch norms that came without statistics.
        choice: `TrainConfig.batch_norm`.
        batch_size: Images that go through the network together.
    """
    if choice == "trained":
        return []
    if choice == "frozen" or batch_size < LARGE_BATCH:
        return batch_norms(network)
    return [norm for norm in batch_norms(network) if norm not in new]


def with_frozen(network: Any, frozen: Collection[Any]) -> Any:
    """The same network, on the same variables, in which these batch norms keep their statistics.

    Keras's `trainable = False` would freeze scale and offset too.
    """
    for norm in batch_norms(network):
        norm.momentum = min(norm.momentum, MOMENTUM)

    def replacement(layer: Any) -> Any:
        if layer not in frozen:
            return layer
        return FrozenStatistics(layer, name=f"{layer.name}-frozen", dtype=layer.dtype_policy)

    return keras.models.clone_model(network, clone_function=replacement)


def measure(network: Any, new: Collection[Any], batches: Iterable[np.ndarray]) -> None:
    """Sets the statistics of new batch norms to those of some images.

    Args:
        network: The network; its other batch norms are not changed.
        new: Batch norms without statistics.
        batches: Images `(N, h, w, 3)`, several in a batch: image pooling has one value for each.
    """
    others = [norm for norm in batch_norms(network) if norm not in new]
    measured = with_frozen(network, others)
    for i, batch in enumerate(batches):
        for norm in new:
            norm.momentum = i / (i + 1)  # moving statistics are the mean so far
        measured(batch, training=True)
    for norm in new:
        norm.momentum = MOMENTUM
        variance = ops.convert_to_numpy(norm.moving_variance)
        norm.moving_variance.assign(np.where(variance < MIN_VARIANCE, 1, variance))
    log.info("statistics of %d new batch norms were measured on training images.", len(new))
