"""NumPy's archive: labels, names, colors and confidence, for other programs in Python."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.results.outputs.base import OUTPUTS, Document, Segmented


def write_npz(result: Segmented, path: Path) -> bytes:  # noqa: ARG001
    """The bytes of an `.npz` that `numpy.load` opens without pickles.

    It holds "labels" `(H, W)`, "class_ids" and "class_names" of all classes of the label set,
    "palette" `(classes, 3) uint8 RGB`, "void", and where the labels came from a network
    "confidence" `(H, W) float32`.
    """
    label_set = result.label_set
    arrays: dict[str, Any] = {
        "labels": result.labels,
        "class_ids": np.arange(len(label_set)),
        "class_names": np.array(label_set.names),
        "palette": np.array(label_set.palette, np.uint8),
        "void": np.array(label_set.void),
    }
    if result.grid is not None:
        arrays["confidence"] = result.confidence
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


OUTPUTS.register("npz")(Document(write_npz, (".npz",)))
