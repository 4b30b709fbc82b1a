"""The only file that imports Keras: importing it loads the deep-learning framework.

Modules that need Keras import it from here, and nothing imports those modules before the first
network is built, so that `import easyseg` and `easyseg --help` stay quick. The process is as it
was afterwards: variables of the environment are set only during the import.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

from easyseg.errors import ConfigError
from easyseg.utils.native_log import filter_native_log

__all__ = ["backend", "keras", "keras_defaults", "layers", "ops", "variables_without_values"]

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
IMPORT_ENVIRONMENT = {  # unless the user has set them; TensorFlow reads them while it is imported
    LOG_LEVEL: "2",  # errors only
    # by itself TensorFlow uses oneDNN's kernels only with AVX512; they pay with AVX2 too
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "KERAS_BACKEND": "tensorflow",  # whatever ~/.keras/keras.json says
}
DEFAULTS = {  # settings of Keras for the whole process, which ~/.keras/keras.json may change
    "floatx": "float32",
    "epsilon": 1e-7,
    "image_data_format": "channels_last",
    "max_epochs": None,
    "max_steps_per_epoch": None,
}


@contextlib.contextmanager
def _import_environment() -> Iterator[None]:
    added = [name for name in IMPORT_ENVIRONMENT if name not in os.environ]
    log_filter = filter_native_log() if LOG_LEVEL in added else contextlib.nullcontext()
    os.environ.update({name: IMPORT_ENVIRONMENT[name] for name in added})
    try:
        with log_filter:
            yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def backend() -> str:
    """The Keras backend in use: "tensorflow", "jax" or "torch"."""
    return str(keras.backend.backend())


class _Policy(threading.local):
    name = "float32"


_policy, _lock = _Policy(), threading.Lock()
_settings: list[dict[str, Any]] = []  # of the user, while someone is within `keras_defaults`


@contextlib.contextmanager
def keras_defaults(policy: str | None = None) -> Iterator[None]:
    """A context (or decorator) in which Keras's settings are its defaults, whatever the user chose.

    All that makes layers or traces a network runs within, so that these settings do not matter.

    Args:
        policy: The dtype policy of layers made within; by default that of the `keras_defaults`
            around this one, else "float32".
    """
    outer, enclosing = keras.config.dtype_policy(), _policy.name
    _enter_defaults()
    _policy.name = policy or enclosing
    keras.config.set_dtype_policy(_policy.name)
    try:
        yield
    finally:
        _policy.name = enclosing
        keras.config.set_dtype_policy(outer)
        _leave_defaults()


def _enter_defaults() -> None:
    with _lock:
        known = [name for name in DEFAULTS if hasattr(keras.config, name)]
        _settings.append({name: getattr(keras.config, name)() for name in known})
        _set({name: DEFAULTS[name] for name in known})


def _leave_defaults() -> None:
    with _lock:
        settings = _settings.pop()
        if not _settings:  # threads may leave in any order: only the first had the user's
            _set(settings)


def _set(settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        if getattr(keras.config, name)() != value:
            getattr(keras.config, f"set_{name}")(value)


try:
    with _import_environment():
        import keras
        from keras import layers, ops

        if backend() == "tensorflow":
            import tensorflow as tf

            tf.config.list_physical_devices()  # looks for GPUs, and logs that there are none
except (ImportError, ValueError, AttributeError) as error:
    if isinstance(error, ModuleNotFoundError) and error.name == "keras":
        raise ConfigError(
            "Keras is not installed: pip install easyseg, without --no-deps, installs it with "
            "TensorFlow. Only mini and files of `easyseg export` are used without."
        ) from error
    raise ConfigError(
        f"Cannot load Keras with the backend {os.environ.get('KERAS_BACKEND', 'tensorflow')!r}: "
        f"{error}. Set the environment variable KERAS_BACKEND to an installed backend: "
        "tensorflow, jax or torch; and correct or remove ~/.keras/keras.json."
    ) from error


@contextlib.contextmanager
def variables_without_values() -> Iterator[None]:
    """Variables of networks built within have shapes, but no values."""
    from keras.src.backend.common import global_state  # noqa: PLC0415  (Keras offers no other way)

    with keras.StatelessScope(initialize_variables=False):
        try:
            yield
        finally:  # else they would get values at the end of the next such scope
            global_state.set_global_attribute("uninitialized_variables", [])
