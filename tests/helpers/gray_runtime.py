"""An runtime that keeps a file and needs no Keras with it: it sees gray, whatever the picture."""

import io

import numpy as np

from easyseg.inference.runtimes import Runtime, RuntimeSpec
from easyseg.inference.runtimes.cache import kept

ROW = Runtime("stored", keeps="gray.npy")


def start(setting: RuntimeSpec):
    logits = np.load(io.BytesIO(kept(setting.folder, ROW.keeps, lambda: _seen(setting))))
    return lambda pictures: np.repeat(logits, len(pictures), axis=0)


def _seen(setting: RuntimeSpec) -> bytes:
    buffer = io.BytesIO()
    gray = np.full((1, *setting.size, 3), 127.5, np.float32)
    np.save(buffer, np.asarray(setting.network(gray)))
    return buffer.getvalue()
