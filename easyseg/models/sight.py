"""What a network sees: its receptive field, and where its resolution changes.

References:
    Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks", Distill, 2019,
    https://distill.pub/2019/computing-receptive-fields.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

from easyseg._keras import layers
from easyseg.models.decoders.lraspp import WindowMean
from easyseg.models.graph_utils import Call, calls, inside, is_made_of_layers, shapes
from easyseg.models.layers.atrous_pooling import AtrousPooling2D
from easyseg.models.layers.learned_upsampling import LearnedUpsampling
from easyseg.models.layers.resize import AlignCornersResize

__all__ = ["ReceptiveField", "Stage", "sight"]

Pair = tuple[float, float]
WINDOWS = (
    *(layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D),
    *(layers.MaxPooling2D, layers.AveragePooling2D),
)


class Stage(NamedTuple):
    """A run of layers of one resolution.

    Attributes:
        layer: The first of them.
        stride: Pixels of the image, down and across, from one position to the next.
    """

    layer: str
    stride: Pair


class ReceptiveField(NamedTuple):
    """What `sight` finds.

    Attributes:
        field: Pixels of the image, down and across, that one output depends on by way of
            windows: convolutions, poolings and resizing. `None` where attention compares all
            positions with all others, so that there are no windows.
        whole: Whether an output depends on the whole image: by a mean over it on top of windows,
            or by attention.
        stages: Where the resolution changes on the main path, that of the first input of each
            operation, from the image on.
    """

    field: tuple[int, int] | None
    whole: bool
    stages: list[Stage]


class _Feature(NamedTuple):
    """What one position of a feature sees.

    Attributes:
        stride: Pixels from one position to the next; `None` if it has no positions.
        field: Pixels that it depends on; infinitely many after attention.
        whole: Whether it depends on the whole image besides.
    """

    stride: Pair | None
    field: Pair
    whole: bool


def sight(model: Any, input_size: tuple[int, int]) -> ReceptiveField:
    """Goes along the graph and keeps account of what each feature sees.

    The receptive field is the theoretical one: each window makes it larger by
    `(kernel - 1) * rate * stride`, and the path that makes it largest counts (Araujo et al.,
    equation 2). Resizing has two neighbours; there the sum may be too large, by less than their
    distance. The border is not thought of: the field may be larger than the image. Layers of
    layers are looked into; one that cannot be is taken to see everything.

    Args:
        model: A functional `keras.Model` from images `(N, H, W, 3)`.
        input_size: `(height, width)` of the image in pixels, on which resizing depends.
    """
    shape = shapes(model, input_size)
    features = {id(x): _Feature((1, 1), (1, 1), whole=False) for x in model.inputs}
    _walk(calls(model), features, shape)
    last = features[id(model.outputs[0])]
    stages = _stages(model, features)
    if math.inf in last.field:
        return ReceptiveField(None, whole=True, stages=stages)
    rows, columns = (math.ceil(side) for side in last.field)
    return ReceptiveField((rows, columns), last.whole, stages)


def _walk(
    steps: list[Call], features: dict[int, _Feature], shape: dict[int, tuple[int, ...]]
) -> None:
    """Adds what each operation gives to the features, which are by the `id` of their tensors."""
    for op, inputs, outputs in steps:
        taken = [(features[id(x)], shape[id(x)]) for x in inputs if id(x) in features]
        for tensor in outputs:
            if id(tensor) not in features:
                features[id(tensor)] = _after(op, taken, shape[id(tensor)])


def _stages(model: Any, features: dict[int, _Feature]) -> list[Stage]:
    """Goes back from the output, by the first input of each operation, to where strides change."""
    made = {id(tensor): call for call in calls(model) for tensor in call.given}
    path, tensor = [], model.outputs[0]
    while tensor is not model.inputs[0]:
        call, stride = made[id(tensor)], features[id(tensor)].stride
        if stride is not None:
            path.append(Stage(call.operation.name, stride))
        tensor = call.taken[0]
    path.append(Stage(tensor.name, (1, 1)))
    pairs = itertools.pairwise(reversed(path))
    return [stage for before, stage in pairs if stage.stride != before.stride]


def _after(
    op: Any, taken: list[tuple[_Feature, tuple[int, ...]]], shape: tuple[int, ...]
) -> _Feature:
    """What the output of an operation sees, by what its inputs see, and all their shapes."""
    if isinstance(op, AlignCornersResize):  # takes nothing but the size from its second input
        (small, _), (like, _) = taken
        rows, columns = small.stride or (0, 0)
        field = (small.field[0] + rows, small.field[1] + columns)  # two neighbours each way
        return _Feature(like.stride, field, small.whole)
    rows, columns = (max(feature.field[axis] for feature, _ in taken) for axis in (0, 1))
    whole = any(feature.whole for feature, _ in taken)
    if is_made_of_layers(op):
        return _through(op, taken, shape)
    placed = [(feature.stride, before) for feature, before in taken if feature.stride]
    steps = _steps(op, placed[0][1], shape) if placed else None
    if steps is None:
        return _Feature(None, (rows, columns), whole=True)
    (down, across), (of_rows, of_columns) = placed[0][0], steps
    return _Feature(
        (down * of_rows.stride, across * of_columns.stride),
        (rows + down * of_rows.reach, columns + across * of_columns.reach),
        whole,
    )


def _through(
    op: Any, taken: list[tuple[_Feature, tuple[int, ...]]], shape: tuple[int, ...]
) -> _Feature:
    """What the output of a layer of layers sees."""
    within = inside(op, [before for _, before in taken])
    if within is None or any(type(call.operation).__name__ == "Matmul" for call in within.calls):
        stride = taken[0][0].stride if shape[:-1] == taken[0][1][:-1] else None
        return _Feature(stride, (math.inf, math.inf), whole=True)
    pairs = zip(within.inputs, taken, strict=True)
    features = {id(tensor): feature for tensor, (feature, _) in pairs}
    every = [*within.inputs, *(x for call in within.calls for x in call.given)]
    _walk(within.calls, features, {id(x): tuple(x.shape) for x in every})
    return features[id(within.output)]


class _Step(NamedTuple):
    """What an operation does along one axis.

    Attributes:
        stride: Positions of its input from one position of its output to the next.
        reach: Positions of its input that one output depends on, less one.
    """

    stride: float
    reach: float


def _steps(op: Any, before: tuple[int, ...], shape: tuple[int, ...]) -> list[_Step] | None:
    """What an operation does down and across; `None` if its output has no positions."""
    listed = sorted((len(before), len(shape))) == [3, 4]  # positions, row by row, or back
    if listed and math.prod(before[1:-1]) == math.prod(shape[1:-1]):
        return [_Step(1, 0)] * 2
    sides = list(zip(before[1:3], shape[1:3], strict=False))
    pooled = type(op).__name__.startswith("Global") or len(shape) != len(before)
    if pooled or (shape[1:3] == (1, 1) != before[1:3]):
        return None
    return _window(op, before) or [_Step(old / new, float(old != new)) for old, new in sides]


def _window(op: Any, before: tuple[int, ...]) -> list[_Step] | None:
    """What an operation with windows does down and across; `None` for others."""
    if isinstance(op, (layers.ZeroPadding2D, layers.Cropping2D)):
        return [_Step(1, 0)] * 2
    if isinstance(op, LearnedUpsampling):
        return [_Step(1 / op.factor, 1)] * 2
    if isinstance(op, AtrousPooling2D):
        return [_Step(1, (op.pool_size - 1) * op.rate)] * 2
    if isinstance(op, WindowMean):
        reaches = (min(op.window, side) - 1 for side in before[1:3])
        return [_Step(step, reach) for step, reach in zip(op.step, reaches, strict=True)]
    if not isinstance(op, WINDOWS):
        return None
    kernel = getattr(op, "kernel_size", None) or op.pool_size
    rows = zip(kernel, op.strides, getattr(op, "dilation_rate", (1, 1)), strict=True)
    return [_Step(stride, (k - 1) * rate) for k, stride, rate in rows]
