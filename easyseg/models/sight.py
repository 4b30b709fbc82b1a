"""What a network sees: its receptive field, and where its resolution changes.

References:
    Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks", Distill, 2019,
    https://distill.pub/2019/computing-receptive-fields.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

from easyseg._keras import keras, layers
from easyseg.models.graph import flat, operations, shapes
from easyseg.models.lraspp import WindowMean
from easyseg.models.pooling import AtrousPooling2D
from easyseg.models.resize import AlignCornersResize
from easyseg.models.upsampling import LearnedUpsampling

__all__ = ["Sight", "Stage", "sight"]

Pair = tuple[float, float]
WINDOWS = (
    *(layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D),
    *(layers.MaxPooling2D, layers.AveragePooling2D),
)


class Stage(NamedTuple):
    """A run of layers of one resolution.

    Attributes:
        layer: The first of them.
        stride: Pixels of the picture, down and across, from one position to the next.
    """

    layer: str
    stride: Pair


class Sight(NamedTuple):
    """What `sight` finds.

    Attributes:
        field: Pixels of the picture, down and across, that one output depends on by way of
            windows: convolutions, poolings and resizing.
        whole: Whether a mean over the whole picture, or the like, comes on top of that.
        stages: Where the resolution changes on the main path, that of the first input of each
            operation, from the picture on.
    """

    field: tuple[int, int]
    whole: bool
    stages: list[Stage]


class _Feature(NamedTuple):
    """What one position of a feature sees.

    Attributes:
        stride: Pixels from one position to the next; `None` if it has no positions.
        field: Pixels that it depends on.
        whole: Whether it depends on the whole picture besides.
    """

    stride: Pair | None
    field: Pair
    whole: bool


def sight(model: Any, input_size: tuple[int, int]) -> Sight:
    """Goes along the graph and keeps account of what each feature sees.

    The receptive field is the theoretical one: each window makes it larger by
    `(kernel - 1) * rate * stride`, and the path that makes it largest counts (Araujo et al.,
    equation 2). Resizing has two neighbours; there the sum may be too large, by less than their
    distance. The border is not thought of: the field may be larger than the picture. Of a model
    within a model it is only known that it may see everything.

    Args:
        model: A functional `keras.Model` from pictures `(N, H, W, 3)`.
        input_size: `(height, width)` of the picture in pixels, on which resizing depends.
    """
    shape = shapes(model, input_size)
    features = {id(x): _Feature((1, 1), (1, 1), whole=False) for x in model.inputs}
    for op in operations(model):
        taken = [(features[id(x)], shape[id(x)]) for x in flat(op.input) if id(x) in features]
        for tensor in flat(op.output):
            if id(tensor) not in features:
                features[id(tensor)] = _after(op, taken, shape[id(tensor)])
    last = features[id(model.outputs[0])]
    rows, columns = (math.ceil(side) for side in last.field)
    return Sight((rows, columns), last.whole, _stages(model, features))


def _stages(model: Any, features: dict[int, _Feature]) -> list[Stage]:
    """Goes back from the output, by the first input of each operation, to where strides change."""
    made = {id(tensor): op for op in operations(model) for tensor in flat(op.output)}
    path, tensor = [], model.outputs[0]
    while tensor is not model.inputs[0]:
        op, stride = made[id(tensor)], features[id(tensor)].stride
        if stride is not None:
            path.append(Stage(op.name, stride))
        tensor = flat(op.input)[0]
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
    whole = any(feature.whole for feature, _ in taken) or isinstance(op, keras.Model)
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
