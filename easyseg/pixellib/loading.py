"""What PixelLib's `load_pascalvoc_model` and `load_ade20k_model` are given."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from easyseg.api import SemanticSegmentation
from easyseg.errors import InputError

__all__ = ["NETWORKS", "Networks"]

log = logging.getLogger(__name__)

KERAS_STRIDE = 8  # PixelLib's Keras networks compute with it; its frozen graph with 16


class Network(NamedTuple):
    """One of PixelLib's networks.

    Attributes:
        like: Weights of ours that have the same network and classes.
        files: Names under which PixelLib publishes its weights, and ours in their place.
    """

    like: str
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
    """The networks that one object has loaded: none at first."""

    def __init__(self) -> None:
        self._opened: dict[str, SemanticSegmentation] = {}

    def load(self, kind: str, model_path: str | os.PathLike[str]) -> None:
        """Builds one network with its weights.

        Args:
            kind: A row of `NETWORKS`.
            model_path: PixelLib's .h5 or .pb file, under whatever name; where there is none,
                PixelLib's name of it, whose weights are then downloaded. Else a model's name or
                a bundle's folder, as `SemanticSegmentation` takes them.

        Raises:
            UnknownNameError: Neither a known name nor a folder.
            WeightsError: There is no such file, or it is for another network.
        """
        path = Path(model_path)
        instead = None if path.exists() else NETWORKS[kind].files.get(path.name)
        if instead:
            log.warning("%s is not there; %s is used, and downloaded if need be.", path, instead)
        self._opened[kind] = SemanticSegmentation(
            instead or model_path,
            architecture=NETWORKS[kind].like,
            output_stride=KERAS_STRIDE if path.suffix.lower() == ".h5" else None,
        )

    def __getitem__(self, kind: str) -> SemanticSegmentation:
        if kind not in self._opened:
            raise InputError(f"no network is loaded for this; call load_{kind}_model(path) before.")
        return self._opened[kind]
