"""A runtime that starts from a file without Keras; its logits are those of a gray image."""

import io

import numpy as np

from easyseg.inference.runtimes import Forward, Runtime, RuntimeSpec
from easyseg.inference.runtimes.cache import read_or_create

GRAY = Runtime("helpers.gray_runtime", saved_file="gray.npy")


def start(spec: RuntimeSpec) -> Forward:
    content = read_or_create(spec.folder, GRAY.saved_file, lambda: _gray_logits(spec))
    logits = np.load(io.BytesIO(content))
    return lambda images: np.repeat(logits, len(images), axis=0)


def _gray_logits(spec: RuntimeSpec) -> bytes:
    buffer = io.BytesIO()
    gray = np.full((1, *spec.input_size, 3), 127.5, np.float32)
    np.save(buffer, np.asarray(spec.network(gray)))
    return buffer.getvalue()
