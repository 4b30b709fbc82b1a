"""Bilinear resizing with aligned corners, the only kind that DeepLab uses."""

from __future__ import annotations

from typing import Any

from easyseg._keras import keras, layers, ops


def resize_align_corners(x: Any, size: tuple[Any, Any]) -> Any:
    """Resizes `(N, h, w, C)` to `(N, *size, C)`: output i lies at i * (in - 1) / (out - 1).

    The position is split into whole and fractional part with integers. In floating point a
    compiler may round the two separately where the position is whole, which gives a wrong row.
    """
    for axis, length in ((1, size[0]), (2, size[1])):
        x = _resize_axis(x, axis, length)
    return x


def _resize_axis(x: Any, axis: int, length: Any) -> Any:
    source = ops.shape(x)[axis]
    if isinstance(source, int) and isinstance(length, int) and source == length:
        return x
    steps = ops.maximum(length - 1, 1)
    position = ops.arange(length, dtype="int32") * (source - 1)
    below = position // steps
    above = ops.minimum(below + 1, source - 1)
    fraction = ops.cast(position - below * steps, x.dtype) / ops.cast(steps, x.dtype)
    fraction = ops.reshape(fraction, [-1 if i == axis else 1 for i in range(4)])
    lower = ops.take(x, below, axis=axis)
    return lower + (ops.take(x, above, axis=axis) - lower) * fraction


@keras.saving.register_keras_serializable("easyseg")
class AlignCornersResize(layers.Layer):
    """Resizes `x` to the height and width of `like`; see `resize_align_corners`."""

    def call(self, x: Any, like: Any) -> Any:
        """`(N, h, w, C)`, `(N, H, W, D)` -> `(N, H, W, C)`."""
        return resize_align_corners(x, tuple(ops.shape(like)[1:3]))

    def compute_output_shape(self, x_shape: Any, like_shape: Any) -> Any:
        """Shape of the result, where it is known."""
        return (x_shape[0], *like_shape[1:3], x_shape[3])
