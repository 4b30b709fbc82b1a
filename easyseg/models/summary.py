"""What a network costs: its parameters, multiply-adds and memory."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

from easyseg._keras import layers
from easyseg.models.graph_utils import calls, inside, shapes

__all__ = ["Count", "Memory", "count", "memory"]

FLOAT32 = 4  # bytes


class Count(NamedTuple):
    """What `count` finds.

    Attributes:
        parameters: Numbers in all variables, means and variances of batch norms included.
        multiply_adds: Multiplications, each with its addition, for one image.
    """

    parameters: int
    multiply_adds: int


class Memory(NamedTuple):
    """What `memory` finds, in bytes.

    Attributes:
        weights: All variables.
        activations: The features that are needed at the same time, at most.
    """

    weights: int
    activations: int


def count(model: Any, input_size: tuple[int, int]) -> Count:
    """Counts parameters, and the multiply-adds of convolutions, dense layers and attention.

    Batch norms, activations and resizing are left out, as usual; at inference the first can be
    folded into the convolutions.

    Args:
        model: A functional `keras.Model` from images `(N, H, W, 3)`.
        input_size: `(height, width)` of the image in pixels.
    """
    shape = shapes(model, input_size)
    return Count(
        model.count_params(),
        sum(
            _multiply_adds(op, [shape[id(x)] for x in taken], shape[id(given[0])])
            for op, taken, given in calls(model)
        ),
    )


def _multiply_adds(layer: Any, taken: list[tuple[int, ...]], shape: tuple[int, ...]) -> int:
    """Each weight of a kernel is used once at every position of the output."""
    if isinstance(layer, layers.SeparableConv2D):
        kernels = [layer.depthwise_kernel, layer.pointwise_kernel]
    elif isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)):
        kernels = [layer.kernel]
    elif type(layer).__name__ == "Matmul":  # of attention: a sum for each number of the output
        return math.prod(shape) * taken[0][-1]
    else:
        within = inside(layer, taken)
        return sum(
            _multiply_adds(op, [x.shape for x in taken], given[0].shape)
            for op, taken, given in (within.calls if within else [])
        )
    return math.prod(shape[:-1]) * sum(math.prod(kernel.shape) for kernel in kernels)


def memory(model: Any, input_size: tuple[int, int]) -> Memory:
    """What inference on one image needs, in float32: weights, and features at their peak.

    Operations run one by one in the order of the graph; the output of each lives until the last
    operation that takes it has run. What a framework needs within an operation comes on top of
    that, and what it saves by computing in place is not taken off.

    Args:
        model: A functional `keras.Model` from images `(N, H, W, 3)`.
        input_size: `(height, width)` of the image in pixels.
    """
    shape, order = shapes(model, input_size), calls(model)
    last = {id(tensor): i for i, call in enumerate(order) for tensor in call.taken}
    last |= {id(tensor): len(order) for tensor in model.outputs}
    change = [0] * (len(order) + 2)
    for i, call in enumerate(order):
        for tensor in call.given:
            size = FLOAT32 * math.prod(shape[id(tensor)])
            change[i] += size
            change[last.get(id(tensor), i) + 1] -= size
    return Memory(FLOAT32 * model.count_params(), max(itertools.accumulate(change)))
