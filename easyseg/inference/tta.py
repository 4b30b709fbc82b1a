"""Test-time augmentation: the mean of a network's probabilities at several scales and mirrored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from easyseg._keras import keras, keras_defaults, ops
from easyseg.models.layers.resize import resize_align_corners

MIN_PROBABILITY = 1e-20  # whose logarithm is still finite in float32


@keras_defaults()
def multi_scale(
    network: Any, size: tuple[int, int], scales: Sequence[float], *, flip: bool, stride: int
) -> Any:
    """A network whose logits are the logarithms of averaged probabilities.

    The procedure of Google's evaluation (`predict_labels_multi_scale`): the logits of each scale
    are resized to the input's size, softmax, mean over scales and mirror images.

    Returns:
        A `keras.Model` from `(N, *size, 3)` to `(N, *size, classes)`.
    """
    image = keras.Input((*size, 3), name="image", dtype="float32")
    probabilities = []
    for scale in scales:
        x = resize_align_corners(image, _scaled(size, scale))
        probabilities.append(_probabilities(network(x), size, scale, stride))
        if flip:
            mirrored = ops.flip(network(ops.flip(x, axis=2)), axis=2)
            probabilities.append(_probabilities(mirrored, size, scale, stride))
    mean = sum(probabilities) / len(probabilities)
    logits = ops.log(ops.maximum(mean, MIN_PROBABILITY))
    return keras.Model(image, logits, name=f"{network.name}_scales")


def _probabilities(logits: Any, size: tuple[int, int], scale: float, stride: int) -> Any:
    logits = resize_align_corners(logits, _scaled(size, max(1.0, scale) / stride))
    return ops.softmax(resize_align_corners(logits, size), axis=-1)


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """With aligned corners, a side of `n` pixels scales to `(n - 1) * scale + 1`."""
    return int((size[0] - 1) * scale + 1), int((size[1] - 1) * scale + 1)
