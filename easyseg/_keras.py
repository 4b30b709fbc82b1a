"""The only door to Keras: importing this module is what loads the deep-learning framework.

Modules that need Keras import it from here, and nothing imports those modules before the first
network is built, so that `import easyseg` and `easyseg --help` stay quick.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # warnings and errors only
# by itself TensorFlow uses oneDNN's kernels where there is AVX512 alone; they pay with AVX2 too
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
from keras import layers, ops

from easyseg.utils.allocator import keep_freed_memory
from easyseg.utils.threads import limit_threads

__all__ = ["backend", "keras", "layers", "ops"]


def backend() -> str:
    """The Keras backend in use: "tensorflow", "jax" or "torch"."""
    return str(keras.backend.backend())


if backend() == "tensorflow":
    keep_freed_memory()
    limit_threads()
