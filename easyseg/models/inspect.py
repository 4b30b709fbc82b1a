"""What a network costs: its parameters and multiply-adds."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from easyseg._keras import keras, layers

__all__ = ["Count", "count"]


class Count(NamedTuple):
    """What `count` finds.

    Attributes:
        parameters: Numbers in all variables, means and variances of batch norms included.
        multiply_adds: Multiplications, each with its addition, for one picture.
    """

    parameters: int
    multiply_adds: int


def count(model: Any, input_size: tuple[int, int]) -> Count:
    """Counts parameters, and the multiply-adds of convolutions and dense layers.

    Batch norms, activations and resizing are left out, as usual; at inference the first can be
    folded into the convolutions.

    Args:
        model: A functional `keras.Model` from pictures `(N, H, W, 3)`.
        input_size: `(height, width)` of the picture in pixels.
    """
    outputs = keras.Model(model.inputs, [layer.output for layer in model.layers])
    shapes = outputs.compute_output_spec(keras.KerasTensor((1, *input_size, 3)))
    return Count(
        model.count_params(),
        sum(_multiply_adds(x, y.shape) for x, y in zip(model.layers, shapes, strict=True)),
    )


def _multiply_adds(layer: Any, shape: tuple[int, ...]) -> int:
    """Each weight of a kernel is used once at every position of the output."""
    if isinstance(layer, layers.SeparableConv2D):
        kernels = [layer.depthwise_kernel, layer.pointwise_kernel]
    elif isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)):
        kernels = [layer.kernel]
    else:
        return 0
    return math.prod(shape[:-1]) * sum(math.prod(kernel.shape) for kernel in kernels)
