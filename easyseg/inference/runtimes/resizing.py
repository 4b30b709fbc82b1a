"""Bilinear resizing as TensorFlow's own operation, which runtimes know, instead of a dozen others.

Keras has none with aligned corners, so the network gathers and mixes rows and columns.
"""

from __future__ import annotations

from typing import Any

from easyseg._keras import keras
from easyseg.inference.runtimes.fold_batch_norm import take_weights
from easyseg.models.layers.resize import AlignCornersResize

__all__ = ["Resize", "resize_at_once"]


class Resize(AlignCornersResize):
    """`AlignCornersResize` for a TensorFlow graph."""

    def call(self, x: Any, like: Any) -> Any:
        """`(N, h, w, C)`, `(N, H, W, D)` -> `(N, H, W, C)`."""
        import tensorflow as tf  # noqa: PLC0415

        size = tuple(like.shape[1:3])  # runtimes are made for one size
        resized = tf.raw_ops.ResizeBilinear(images=x, size=size, align_corners=True)
        return tf.cast(resized, x.dtype)  # it gives float32, whatever it takes


def resize_at_once(network: Any) -> Any:
    """A copy in which a resize is one operation.

    Args:
        network: A functional `keras.Model`, which keeps its own weights.
    """

    def clone(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return resize_at_once(layer)
        kind = Resize if type(layer) is AlignCornersResize else type(layer)
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(network, clone_function=clone)
    take_weights(copy, network)
    return copy
