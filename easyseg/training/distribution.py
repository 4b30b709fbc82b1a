"""Training on one device, on all of this machine, or in several processes: parts of a batch."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from easyseg._keras import backend, keras
from easyseg.errors import ConfigError

log = logging.getLogger(__name__)


@contextlib.contextmanager
def devices(distribute: str) -> Iterator[None]:
    """Networks built within are for all devices with "auto", else for one.

    Raises:
        ConfigError: The backend has no such support.
    """
    if distribute != "auto":
        yield
    elif backend() == "tensorflow":
        with _mirrored().scope():
            yield
    elif backend() == "jax":
        previous = keras.distribution.distribution()
        keras.distribution.set_distribution(keras.distribution.DataParallel())
        try:
            yield
        finally:
            keras.distribution.set_distribution(previous)
    else:
        raise ConfigError(
            f"distribute='auto' is not available with Keras's backend {backend()!r}; set "
            "KERAS_BACKEND=jax or tensorflow, or leave it out."
        )


def device_count(distribute: str) -> int:
    """Devices of this process that train; a batch must be a multiple of it."""
    if distribute != "auto":
        return 1
    return len(keras.distribution.list_devices() if backend() == "jax" else _names())


def _names() -> list[str]:
    """TensorFlow's GPUs, or virtual CPUs where there are several."""
    import tensorflow as tf  # noqa: PLC0415

    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return [device.name for device in tf.config.list_logical_devices(kind)]


def _mirrored() -> Any:
    """TensorFlow's strategy over all devices."""
    import tensorflow as tf  # noqa: PLC0415

    names = _names()
    if len(names) == 1:
        log.warning("distribute='auto': there is one device, %s, which is used.", names[0])
    return tf.distribute.MirroredStrategy(names)


def replica_context() -> Any:
    """TensorFlow's, within a step that several devices or processes share; else `None`."""
    if backend() != "tensorflow":  # JAX computes with whole batches, wherever their parts are
        return None
    import tensorflow as tf  # noqa: PLC0415

    context = tf.distribute.get_replica_context()
    return None if context is None or context.num_replicas_in_sync == 1 else context


def whole_batch(part: Any) -> Any:
    """The sum over the whole batch of a sum over this device's part of it.

    Its gradient is that of the part: the sum of all devices' gradients is that of the batch.
    """
    context = replica_context()
    if context is None:
        return part
    import tensorflow as tf  # noqa: PLC0415

    @tf.custom_gradient
    def total(value: Any) -> tuple[Any, Any]:
        return context.all_reduce("SUM", value), lambda gradient: gradient

    return total(part)


def jit_compile() -> bool | str:
    """Keras's `jit_compile`: not on TensorFlow, whose XLA is slow for dilated convolutions."""
    return False if backend() == "tensorflow" else "auto"


def out_of_memory(error: Exception) -> bool:
    """Whether this is a backend's out-of-memory error."""
    name, text = type(error).__name__, str(error)
    return (
        isinstance(error, MemoryError)
        or name in {"ResourceExhaustedError", "OutOfMemoryError"}
        or "RESOURCE_EXHAUSTED" in text
    )
