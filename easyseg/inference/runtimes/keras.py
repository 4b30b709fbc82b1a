"""The network as Keras runs it, compiled for its backend; results follow the network's weights."""

from __future__ import annotations

import numpy as np

from easyseg._keras import backend, keras_defaults
from easyseg.inference.runtimes import Forward, RuntimeSpec

__all__ = ["start"]


def start(spec: RuntimeSpec) -> Forward:
    """Compiles the network; the function uses the weights that it has at each call.

    XLA makes dilated depthwise convolutions much slower on CPU, so TensorFlow goes without.
    """
    network, size = spec.network, spec.input_size
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
