"""PixelLib's `load_pascalvoc_model` and `load_ade20k_model`."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from easyseg.api import SemanticSegmentation
from easyseg.errors import InputError
from easyseg.weights.resolve import FILE_FORMATS

__all__ = ["NETWORKS", "Networks"]

log = logging.getLogger(__name__)

KERAS_STRIDE = 8  # PixelLib's Keras networks compute with it; its frozen graph with 16


class Network(NamedTuple):
    """One of PixelLib's networks.

    Attributes:
        architecture: Published weights with the same network and classes.
        files: File names under which PixelLib publishes its weights, and our names for them.
    """

    architecture: str
    files: Mapping[str, str]


NETWORKS = {
    "pascalvoc": Network(
        "xception65.voc_pixellib",
        {
            "deeplabv3_xception_tf_dim_ordering_tf_kernels.h5": "xception65.voc_pixellib",
            "xception_pascalvoc.pb": "xception65.voc",
        },
    ),
    "ade20k": Network(
        "xception65.ade20k_pixellib",
        {"deeplabv3_xception65_ade20k.h5": "xception65.ade20k_pixellib"},
    ),
}


class Networks:
    """The networks that an object has loaded."""

    def __init__(self) -> None:
        self._opened: dict[str, SemanticSegmentation] = {}

    def load(self, kind: str, model_path: str | os.PathLike[str]) -> None:
        """Builds one network with its weights.

        Args:
            kind: A name in `NETWORKS`.
            model_path: PixelLib's .h5 or .pb file under any name; if it does not exist but has
                the name under which PixelLib publishes it, its weights are downloaded. Or a
                model's name or folder, as for `SemanticSegmentation`.

        Raises:
            UnknownNameError: Neither a known name nor a folder.
            WeightsError: There is no such file, or it is for another network.
        """
        path = Path(model_path)
        instead = None if path.exists() else NETWORKS[kind].files.get(path.name)
        if instead:
            log.warning(
                "%s does not exist; using %s, which is downloaded if it is not in the cache.",
                path,
                instead,
            )
        is_file = instead is None and (path.is_file() or path.suffix.lower() in FILE_FORMATS)
        self._opened[kind] = SemanticSegmentation(
            instead or model_path,
            architecture=NETWORKS[kind].architecture if is_file else None,
            output_stride=KERAS_STRIDE if path.suffix.lower() == ".h5" else None,
        )

    def __getitem__(self, kind: str) -> SemanticSegmentation:
        if kind not in self._opened:
            raise InputError(f"no network has been loaded; call load_{kind}_model(path) first.")
        return self._opened[kind]
