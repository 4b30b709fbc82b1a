"""A Keras model as a backbone: a value that is stored as JSON, without loading Keras."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class KerasBackbone:
    """The layers of a Keras model up to the feature for the head.

    Made and checked by `easyseg.keras_graph`. A saved model has it in its config, so that it opens
    without the Keras model.

    Args:
        name: The backbone's name, a prefix of the names of its layers.
        stride: Pixels from one position of the model's last feature to the next.
        high: The layer that gives this feature.
        low: Strides and layers of the low-level features: ((4, "block2_out"),); or none.
        preprocessing: What the model expects of an image: "tf", "tf128", "raw", "torch" or
            "caffe".
        network: The layers, as Keras serializes them. Weights are not part of it.
    """

    name: str
    stride: int
    high: str
    low: tuple[tuple[int, str], ...]
    preprocessing: str
    network: Mapping[str, Any] = dataclasses.field(repr=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", tuple((stride, layer) for stride, layer in self.low))
