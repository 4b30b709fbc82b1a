"""An engine that keeps a file and needs no Keras with it: it sees grey, whatever the picture."""

import io

import numpy as np

from easyseg.inference.runtimes import Engine, Setting
from easyseg.inference.runtimes.cache import kept

ROW = Engine("stored", keeps="grey.npy")


def start(setting: Setting):
    logits = np.load(io.BytesIO(kept(setting.folder, ROW.keeps, lambda: _seen(setting))))
    return lambda pictures: np.repeat(logits, len(pictures), axis=0)


def _seen(setting: Setting) -> bytes:
    buffer = io.BytesIO()
    grey = np.full((1, *setting.size, 3), 127.5, np.float32)
    np.save(buffer, np.asarray(setting.network(grey)))
    return buffer.getvalue()
