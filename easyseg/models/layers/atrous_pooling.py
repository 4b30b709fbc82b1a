"""Pooling with a dilated window."""

from __future__ import annotations

import functools
from typing import Any

from easyseg._keras import keras, layers, ops


@keras.saving.register_keras_serializable("easyseg")
class AtrousPooling2D(layers.Layer):
    """Mean or maximum of neighbors `rate` positions apart; keeps the size of `(N, H, W, C)`.

    Positions outside the image are ignored.

    Args:
        pool_size: Positions along each side of the window.
        rate: Dilation rate.
        average: Mean instead of maximum.
    """

    def __init__(self, pool_size: int, rate: int, *, average: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pool_size = pool_size
        self.rate = rate
        self.average = average

    def call(self, x: Any) -> Any:
        """`(N, H, W, C)` -> `(N, H, W, C)`."""
        if not self.average:
            return self._pool(x, ops.maximum, float("-inf"))
        return self._pool(x, ops.add, 0) / self._pool(ops.ones_like(x[..., :1]), ops.add, 0)

    def _pool(self, x: Any, combine: Any, beyond: float) -> Any:
        before = (self.pool_size - 1) // 2 * self.rate
        after = (self.pool_size - 1) * self.rate - before
        for axis in (1, 2):
            pads = [(before, after) if i == axis else (0, 0) for i in range(4)]
            wide = ops.swapaxes(ops.pad(x, pads, constant_values=beyond), 0, axis)
            last = (self.pool_size - 1) * self.rate
            shifted = [wide[i : i - last or None] for i in range(0, last + 1, self.rate)]
            x = ops.swapaxes(functools.reduce(combine, shifted), 0, axis)
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        mine = {"pool_size": self.pool_size, "rate": self.rate, "average": self.average}
        return {**super().get_config(), **mine}
