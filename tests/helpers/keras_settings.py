"""Settings of Keras that would break every network, as `~/.keras/keras.json` may have them."""

from __future__ import annotations

import contextlib

import keras

SETTINGS = {
    "image_data_format": "channels_first",
    "floatx": "float16",
    "epsilon": 0.1,
    "max_epochs": 1,
    "dtype_policy": "float16",
}


def current():
    values = {name: getattr(keras.config, name)() for name in SETTINGS}
    return {**values, "dtype_policy": values["dtype_policy"].name}


def choose(settings):
    for name, value in settings.items():
        getattr(keras.config, f"set_{name}")(value)


@contextlib.contextmanager
def unusual_settings():
    """Within, Keras has the settings above; at the end it must still have them."""
    before = current()
    choose(SETTINGS)
    try:
        yield
        assert current() == SETTINGS
    finally:
        choose(before)
