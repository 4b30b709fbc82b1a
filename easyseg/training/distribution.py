"""Where a network is trained: one device, or all of this machine with a share of the batch each."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from easyseg._keras import backend, keras
from easyseg.errors import ConfigError

__all__ = ["compiler", "devices", "out_of_memory", "shares"]

log = logging.getLogger(__name__)


@contextlib.contextmanager
def devices(*, distribute: bool) -> Iterator[None]:
    """Within, networks are built for all devices, or for one.

    Raises:
        ConfigError: The backend cannot.
    """
    if not distribute:
        yield
    elif backend() == "tensorflow":
        with _mirrored().scope():
            yield
    elif backend() == "jax":
        old = keras.distribution.distribution()
        keras.distribution.set_distribution(keras.distribution.DataParallel())
        try:
            yield
        finally:
            keras.distribution.set_distribution(old)
    else:
        raise ConfigError(
            f"distribute=True is not for Keras's backend {backend()!r}; use KERAS_BACKEND=jax or "
            "tensorflow, or leave it out."
        )


def shares(*, distribute: bool) -> int:
    """Equal parts that a batch must have: JAX takes no others, TensorFlow none without an image."""
    if not distribute:
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
        log.warning("distribute=True finds one device, %s; training goes on with it.", names[0])
    return tf.distribute.MirroredStrategy(names)


def compiler() -> bool | str:
    """Keras's `jit_compile`: TensorFlow goes without XLA, slow for dilated convolutions."""
    return False if backend() == "tensorflow" else "auto"


def out_of_memory(error: Exception) -> bool:
    """Whether this is how a backend says that a batch does not fit."""
    name, text = type(error).__name__, str(error)
    return (
        isinstance(error, MemoryError)
        or name in {"ResourceExhaustedError", "OutOfMemoryError"}
        or "RESOURCE_EXHAUSTED" in text
    )
