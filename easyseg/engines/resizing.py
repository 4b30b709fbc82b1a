"""Bilinear resizing as TensorFlow's own operation, which runtimes know, instead of a dozen others.

Keras has none with aligned corners, so the network gathers and mixes rows and columns.
"""

from __future__ import annotations

from typing import Any

from easyseg._keras import keras, layers
from easyseg.engines.folding import take_weights
from easyseg.models.resize import AlignCornersResize

__all__ = ["Resize", "resize_at_once"]


class Resize(layers.Layer):
    """`AlignCornersResize` for a TensorFlow graph."""

    def call(self, x: Any, like: Any) -> Any:
        """`(N, h, w, C)`, `(N, H, W, D)` -> `(N, H, W, C)`."""
        import tensorflow as tf  # noqa: PLC0415

        size = tuple(tf.shape(like)[1:3]) if None in like.shape[1:3] else tuple(like.shape[1:3])
        resized = tf.raw_ops.ResizeBilinear(images=x, size=size, align_corners=True)
        return tf.cast(resized, x.dtype)  # it gives float32, whatever it takes

    def compute_output_shape(self, x_shape: Any, like_shape: Any) -> Any:
        """Shape of the result, where it is known."""
        return (x_shape[0], *like_shape[1:3], x_shape[3])


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
