"""One name for each variable, everywhere: its name in Google's checkpoints.

A layer "decoder-decoder_conv0_depthwise-BatchNorm" with a variable "gamma" is
"decoder/decoder_conv0_depthwise/BatchNorm/gamma".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from easyseg.errors import WeightsMismatchError

__all__ = ["assign", "named_variables"]

NAMELESS = re.compile(r"variable(_\d+)?")
LEAVES = {
    "Conv2D": {"kernel": "weights", "bias": "biases"},
    "DepthwiseConv2D": {"kernel": "depthwise_weights", "bias": "biases"},
}


def named_variables(model: Any) -> dict[str, Any]:
    """The model's Keras variables by their checkpoint names, in graph order."""
    named = {}
    for layer in model.layers:
        leaves = LEAVES.get(type(layer).__name__, {})
        for i, variable in enumerate(layer.weights):
            leaf = leaves.get(variable.name, variable.name)
            if NAMELESS.fullmatch(leaf):  # Keras numbers these throughout the process
                leaf = f"variable_{i}"
            named[f"{layer.name.replace('-', '/')}/{leaf}"] = variable
    return named


def assign(model: Any, arrays: Mapping[str, np.ndarray], *, source: str) -> None:
    """Gives every variable of the model its value, or changes nothing.

    Args:
        model: A network of `build_model`.
        arrays: Values by checkpoint name. Nothing may be missing, left over or of another shape.
        source: The file, for the message.

    Raises:
        WeightsMismatchError: Names or shapes differ.
    """
    variables = named_variables(model)
    missing = [name for name in variables if name not in arrays]
    unexpected = [name for name in arrays if name not in variables]
    wrong = [
        (name, tuple(arrays[name].shape), tuple(variable.shape))
        for name, variable in variables.items()
        if name in arrays and tuple(arrays[name].shape) != tuple(variable.shape)
    ]
    if missing or unexpected or wrong:
        raise WeightsMismatchError(source, missing, unexpected, wrong)
    for name, variable in variables.items():
        variable.assign(arrays[name])
