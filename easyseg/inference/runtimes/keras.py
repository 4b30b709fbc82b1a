"""The network as Keras runs it, compiled for its backend; results follow the network's weights."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from easyseg._keras import backend, keras_defaults
from easyseg.inference.runtimes import KERAS, Forward

__all__ = ["KerasNetwork", "start"]


class KerasNetwork:
    """A `Network` (see `easyseg.inference.predictor`) that uses the weights of each moment.

    Args:
        network: A `keras.Model` from images to logits.
        input_size: `(height, width)` of the images in pixels.
        stride: Pixels of the input between two logits.
        half_pixel: Whether the edges of input and logits coincide.

    Attributes:
        runtime: "keras" once it has been compiled, for the first image; before that `None`.
    """

    precision, batch_size = "float32", 1

    def __init__(
        self,
        network: Any,
        input_size: tuple[int, int],
        *,
        stride: int = 1,
        half_pixel: bool = False,
    ) -> None:
        self.stride, self.half_pixel = stride, half_pixel
        self.runtime: str | None = None
        self._network, self._input_size = network, input_size
        self._forward: Forward | None = None
        self._lock = threading.RLock()

    def start(self) -> None:
        """Compiles the network, if that has not been done."""
        with self._lock:
            if self._forward is None:
                self._forward = start(self._network, self._input_size)
                self.runtime = KERAS

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """`(N, H, W, 3)`, 0 to 255 -> `(N, h, w, classes) float32`."""
        with self._lock:
            self.start()
            assert self._forward is not None  # noqa: S101  (for mypy)
            return self._forward(images)


def start(network: Any, size: tuple[int, int]) -> Forward:
    """Compiles the network; the function uses the weights that it has at each call.

    XLA makes dilated depthwise convolutions much slower on CPU, so TensorFlow goes without.
    """
    if backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415

        graph = tf.function(
            lambda x: network(x, training=False),
            input_signature=[tf.TensorSpec((None, *size, 3))],  # one trace for every batch size
            jit_compile=False,
        )
        with keras_defaults():
            graph.get_concrete_function()
        return lambda x: graph(tf.constant(x, tf.float32)).numpy()
    if backend() == "jax":
        import jax  # noqa: PLC0415

        run = jax.jit(
            keras_defaults()(
                lambda trainable, fixed, x: network.stateless_call(
                    trainable, fixed, x, training=False
                )[0]
            )
        )
        return lambda x: np.asarray(
            run(
                [v.value for v in network.trainable_variables],
                [v.value for v in network.non_trainable_variables],
                np.asarray(x, np.float32),
            )
        )
    import torch  # noqa: PLC0415

    forward = keras_defaults()(lambda x: network(x, training=False))
    return torch.no_grad()(lambda x: forward(np.asarray(x, np.float32)).cpu().numpy())
