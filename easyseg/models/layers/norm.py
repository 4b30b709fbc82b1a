"""Normalizations, each created once for a part of the network and called after a convolution."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from easyseg._keras import layers
from easyseg.models.config import ModelConfig

Norm = Callable[[Any, str], Any]
"""From `(x, name of the convolution)` to `x` normalized."""

EPSILON, MOMENTUM = 1e-5, 0.9997  # of head and decoder, as in DeepLab


@dataclasses.dataclass(frozen=True)
class BatchNorm:
    """Batch normalization, with scale and offset; each device normalizes its own images."""

    epsilon: float
    momentum: float

    def __call__(self, x: Any, name: str) -> Any:
        """`x` normalized by a layer named after the convolution before it."""
        return layers.BatchNormalization(
            epsilon=self.epsilon, momentum=self.momentum, name=f"{name}-BatchNorm"
        )(x)


@dataclasses.dataclass(frozen=True)
class GroupNorm:
    """Group normalization, with scale and offset: each image by itself, for small batches.

    There are at most `groups` groups, of at least four channels: a group of one, in a feature
    of one position, would have nothing to be compared with.

    References:
        Wu and He, "Group Normalization", ECCV 2018, https://arxiv.org/abs/1803.08494.
    """

    epsilon: float
    groups: int = 32

    def __call__(self, x: Any, name: str) -> Any:
        """`x` normalized by a layer named after the convolution before it."""
        channels = x.shape[-1]
        most = max(1, min(self.groups, channels // 4))
        groups = max(n for n in range(1, most + 1) if channels % n == 0)
        return layers.GroupNormalization(groups, epsilon=self.epsilon, name=f"{name}-GroupNorm")(x)


def head_norm(config: ModelConfig) -> Norm:
    """The norm of head and decoder."""
    return GroupNorm(EPSILON) if config.norm == "group" else BatchNorm(EPSILON, MOMENTUM)
