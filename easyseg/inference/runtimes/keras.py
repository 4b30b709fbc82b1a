"""The network as Keras runs it, compiled for its backend; results follow the network's weights."""

from __future__ import annotations

import contextlib
import functools
import threading
from typing import Any

import numpy as np

from easyseg._keras import backend, keras, keras_defaults
from easyseg.inference.runtimes import AUTO, KERAS, Forward, RuntimeSpec, in_batches
from easyseg.inference.runtimes.devices import CPU, GPU, pick


def devices() -> dict[str, str]:
    """Keras's names, such as "gpu:1", by ours."""
    cards = keras.distribution.list_devices(GPU)
    return {CPU: f"{CPU}:0", **({GPU: cards[0]} if cards else {}), **{name: name for name in cards}}


class KerasNetwork:
    """A `Network` (see `easyseg.inference.predictor`) that uses the weights of each moment.

    Args:
        network: A `keras.Model` from images to logits.
        input_size: `(height, width)` of the images in pixels.
        stride: Pixels of the input between two logits.
        half_pixel: Whether the edges of input and logits coincide.
        device: "auto" for the one that Keras chooses, or as `devices` names it.

    Raises:
        InputError: The device is not available.

    Attributes:
        runtime: "keras" once it has been compiled, for the first image; before that `None`.
    """

    precision, batch_size, lanes = "float32", 1, 1

    def __init__(
        self,
        network: Any,
        input_size: tuple[int, int],
        *,
        stride: int = 1,
        half_pixel: bool = False,
        device: str = AUTO,
    ) -> None:
        self._device = None if device == AUTO else pick(KERAS, device, devices())
        self.stride, self.half_pixel = stride, half_pixel
        self.runtime: str | None = None
        self._network, self._input_size = network, input_size
        self._forward: Forward | None = None
        self._lock = threading.RLock()

    def start(self) -> None:
        """Compiles the network, if that has not been done."""
        with self._lock:
            if self._forward is None:
                self._forward = compiled(self._network, self._input_size, self._device)
                self.runtime = KERAS

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """`(N, H, W, 3)`, 0 to 255 -> `(N, h, w, classes) float32`."""
        with self._lock:
            self.start()
            assert self._forward is not None  # noqa: S101  (for mypy)
            return self._forward(images)


def start(spec: RuntimeSpec) -> Forward:
    """Opens the file of an export, without running code that it may hold; returns images -> logits.

    The network within it gives logits; what follows makes labels of them.
    """
    device = None if spec.device == AUTO else pick(KERAS, spec.device, devices())
    model = keras.saving.load_model(spec.path, compile=False, safe_mode=True)
    network = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    return in_batches(compiled(network, spec.input_size, device), spec.batch)


def compiled(network: Any, size: tuple[int, int], device: str | None = None) -> Forward:
    """Compiles the network; the function uses the weights that it has at each call.

    XLA makes dilated depthwise convolutions much slower on CPU, so TensorFlow goes without.
    """
    place = functools.partial(keras.device, device) if device else contextlib.nullcontext
    if backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415

        def traced(x: Any) -> Any:
            with place():
                return network(x, training=False)

        # one trace for every batch size
        signature = [tf.TensorSpec((None, *size, 3))]
        graph = tf.function(traced, input_signature=signature, jit_compile=False)
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

        def jax_forward(x: np.ndarray) -> np.ndarray:
            with place():
                trainable = [v.value for v in network.trainable_variables]
                fixed = [v.value for v in network.non_trainable_variables]
                return np.asarray(run(trainable, fixed, np.asarray(x, np.float32)))

        return jax_forward
    import torch  # noqa: PLC0415

    def torch_forward(x: np.ndarray) -> np.ndarray:
        with place(), keras_defaults(), torch.no_grad():
            found: np.ndarray = network(np.asarray(x, np.float32), training=False).cpu().numpy()
            return found

    return torch_forward
