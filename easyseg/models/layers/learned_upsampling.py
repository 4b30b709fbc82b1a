"""Upsampling by transposed convolutions that are initialized as bilinear interpolation.

References:
    Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015, section
    3.3, https://arxiv.org/abs/1411.4038.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from easyseg._keras import keras, layers, ops

TENT = np.array([0.5, 1, 0.5], np.float32)
BILINEAR = np.outer(TENT, TENT)


@keras.saving.register_keras_serializable("easyseg")
class LearnedUpsampling(layers.Layer):
    """Enlarges `(N, h, w, C)` to `(N, (h - 1) factor + 1, (w - 1) factor + 1, C)`.

    Doubles the size repeatedly, with one 3x3 kernel of stride 2 per channel: the same weights
    serve every factor, and so every output stride. Fresh weights give bilinear interpolation
    with aligned corners, also at the boundary of the feature.

    Args:
        factor: 1, 2, 4, 8, ...
    """

    def __init__(self, factor: int, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def build(self, shape: Any) -> None:
        """The kernel `(3, 3, C, 1)`."""
        self.kernel = self.add_weight(
            shape=(3, 3, shape[-1], 1),
            initializer=lambda shape, dtype: ops.broadcast_to(
                ops.cast(BILINEAR[..., None, None], dtype), shape
            ),
            name="kernel",
        )

    def call(self, x: Any) -> Any:
        """A transposed convolution is one of the feature with zeros between its positions."""
        for _ in range(int(math.log2(self.factor))):
            x = ops.depthwise_conv(spread(x), self.kernel, padding="same")
        return x

    def compute_output_shape(self, shape: Any) -> Any:
        """Shape of the result, where it is known."""
        sides = (None if side is None else (side - 1) * self.factor + 1 for side in shape[1:3])
        return (shape[0], *sides, shape[3])

    def get_config(self) -> dict[str, Any]:
        """The arguments of this layer."""
        return {**super().get_config(), "factor": self.factor}


def spread(x: Any) -> Any:
    """`(N, h, w, C)` -> `(N, 2 h - 1, 2 w - 1, C)` with zeros between positions."""
    _, height, width, channels = ops.shape(x)
    x = ops.reshape(x, (-1, height, 1, width, 1, channels))
    x = ops.pad(x, ((0, 0), (0, 0), (0, 1), (0, 0), (0, 1), (0, 0)))
    return ops.reshape(x, (-1, 2 * height, 2 * width, channels))[:, :-1, :-1]
