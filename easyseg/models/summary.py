"""The cost of a network: parameters, multiply-adds and memory."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

from easyseg._keras import layers
from easyseg.models.graph_utils import calls, inner_calls, shapes

FLOAT32 = 4  # bytes


class Count(NamedTuple):
    """The result of `count`.

    Attributes:
        parameters: Numbers in all variables, means and variances of batch norms included.
        multiply_adds: Multiplications, each with its addition, for one image.
    """

    parameters: int
    multiply_adds: int


class Memory(NamedTuple):
    """The result of `memory`, in bytes.

    Attributes:
        weights: All variables.
        activations: The features that are in memory at the same time, at most.
    """

    weights: int
    activations: int


def count(model: Any, input_size: tuple[int, int]) -> Count:
    """Counts parameters, and the multiply-adds of convolutions, dense layers and attention.

    Batch norms, activations and resizing are left out, as usual; at inference the first can be
    folded into the convolutions.

    The model is functional, from images `(N, H, W, 3)`; `input_size` is `(height, width)`.
    """
    shape = shapes(model, input_size)
    return Count(
        model.count_params(),
        sum(
            _multiply_adds(op, [shape[id(x)] for x in inputs], shape[id(outputs[0])])
            for op, inputs, outputs in calls(model)
        ),
    )


def _multiply_adds(layer: Any, inputs: list[tuple[int, ...]], shape: tuple[int, ...]) -> int:
    """Each weight of a kernel is used once at every position of the output."""
    if isinstance(layer, layers.SeparableConv2D):
        kernels = [layer.depthwise_kernel, layer.pointwise_kernel]
    elif isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)):
        kernels = [layer.kernel]
    elif type(layer).__name__ == "Matmul":  # of attention: a sum for each number of the output
        return math.prod(shape) * inputs[0][-1]
    else:
        return sum(
            _multiply_adds(op, [x.shape for x in inner], outputs[0].shape)
            for op, inner, outputs in inner_calls(layer, inputs)
        )
    return math.prod(shape[:-1]) * sum(math.prod(kernel.shape) for kernel in kernels)


def memory(model: Any, input_size: tuple[int, int]) -> Memory:
    """The memory of inference on one image, in float32: weights, and features at their peak.

    Operations run one by one in the order of the graph; an output is kept until the last operation
    that takes it has run. Scratch memory of a framework, and what it saves by computing in place,
    are not included.

    The model is functional, from images `(N, H, W, 3)`; `input_size` is `(height, width)`.
    """
    shape, order = shapes(model, input_size), calls(model)
    last = {id(tensor): i for i, call in enumerate(order) for tensor in call.inputs}
    last |= {id(tensor): len(order) for tensor in model.outputs}
    change = [0] * (len(order) + 2)
    for i, call in enumerate(order):
        for tensor in call.outputs:
            size = FLOAT32 * math.prod(shape[id(tensor)])
            change[i] += size
            change[last.get(id(tensor), i) + 1] -= size
    return Memory(FLOAT32 * model.count_params(), max(itertools.accumulate(change)))
