"""One name for each variable, everywhere: its name in Google's checkpoints.

A layer "decoder-decoder_conv0_depthwise-BatchNorm" with a variable "gamma" is
"decoder/decoder_conv0_depthwise/BatchNorm/gamma". The variables of nested layers are named by
their path: "encoder/hierarchical_encoder_0_0/mix_ffn_0/dense_1/kernel".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from easyseg.errors import WeightsError, WeightsMismatchError

Shape = tuple[int, ...]

NAMELESS = re.compile(r"variable(_\d+)?")
LEAVES = {
    "Conv2D": {"kernel": "weights", "bias": "biases"},
    "DepthwiseConv2D": {"kernel": "depthwise_weights", "bias": "biases"},
}


def named_variables(model: Any) -> dict[str, Any]:
    """The model's Keras variables by their checkpoint names, in graph order."""
    named = {}
    for layer in model.layers:
        renamed = LEAVES.get(type(layer).__name__, {})
        leaves = [renamed.get(variable.name, variable.name) for variable in layer.weights]
        if len(set(leaves)) < len(leaves):
            leaves = _paths([variable.path for variable in layer.weights])
        for i, (leaf, variable) in enumerate(zip(leaves, layer.weights, strict=True)):
            if NAMELESS.fullmatch(leaf):  # Keras numbers these throughout the process
                leaf = f"variable_{i}"  # noqa: PLW2901
            named[f"{layer.name.replace('-', '/')}/{leaf}"] = variable
    return named


def _paths(paths: Sequence[str]) -> list[str]:
    """The same paths, with layers numbered from 0 within their parent.

    Keras numbers unnamed layers throughout the process: "dense_17".
    """
    numbers_of: dict[str, dict[str, int]] = {}  # by parent and kind: Keras's name to its number
    numbered = []
    first = {path.partition("/")[0] for path in paths}
    for path in paths:  # the layer's own name begins them all, or none
        *parents, leaf = path.split("/")[len(first) == 1 :]
        here = ""
        for parent in parents:
            kind = here + re.sub(r"_\d+$", "", parent)
            numbers = numbers_of.setdefault(kind, {})
            here = f"{kind}_{numbers.setdefault(parent, len(numbers))}/"
        numbered.append(here + leaf)
    return numbered


def check_shapes(
    shapes: Mapping[str, Shape], expected: Mapping[str, Shape], *, source: str
) -> None:
    """Compares a file's variables with the model's, by name and shape.

    `source` is the file's name for the message.

    Raises:
        WeightsMismatchError: Names or shapes differ.
    """
    missing = [name for name in expected if name not in shapes]
    unexpected = [name for name in shapes if name not in expected]
    wrong = [
        (name, tuple(shapes[name]), tuple(shape))
        for name, shape in expected.items()
        if name in shapes and tuple(shapes[name]) != tuple(shape)
    ]
    if missing or unexpected or wrong:
        raise WeightsMismatchError(source, missing, unexpected, wrong)


def assign(model: Any, arrays: Mapping[str, np.ndarray], *, source: str) -> None:
    """Assigns every variable of the model its value, or changes nothing.

    `arrays` are values by checkpoint name, and `source` is the file's name for the message.

    Raises:
        WeightsMismatchError: Names or shapes differ.
        WeightsError: A value is NaN or infinite, or is no number.
    """
    variables = named_variables(model)
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    check_shapes({name: array.shape for name, array in arrays.items()}, expected, source=source)
    for name, array in arrays.items():
        require_finite(array, name, source=source)
    for name, variable in variables.items():
        variable.assign(arrays[name])


def require_finite(array: np.ndarray, name: str, *, source: str) -> None:
    """Raises `WeightsError` for a variable with NaN or infinite values, or with no numbers."""
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise WeightsError(
            f"{source}: {name} has values that are NaN or infinite, or no numbers; the training "
            "diverged, or the file is damaged. Use other weights."
        )
