"""ONNX files from elsewhere: images as their input, and logits from whatever they give."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from easyseg.errors import InputError
from easyseg.inference.runtimes import Forward
from easyseg.weights.network_file import ExportedFile

CERTAIN = 20.0  # logit of a label's class; those of the others are 0
LEAST = 1e-9  # probability that is not 0


class Adapted(NamedTuple):
    """A network from elsewhere, used like one of easyseg's.

    Attributes:
        forward: Images `(N, H, W, 3)`, 0 to 255 -> logits `(N, h, w, classes) float32`.
        stride: Pixels of the input between two logits.
        half_pixel: Whether the edges of input and logits coincide.
    """

    forward: Forward
    stride: int
    half_pixel: bool


def adapt(file: ExportedFile, size: tuple[int, int], forward: Forward) -> Adapted:
    """Runs the network once, on noise, to see what it gives.

    Labels, scores and probabilities are told apart by type, shape and values. Where the input has
    a pixel more than a multiple of the output, as DeepLab's, corners are aligned; else edges, which
    is `align_corners=False` of PyTorch.

    Args:
        file: The file.
        size: `(height, width)` of the input.
        forward: Runs it.

    Raises:
        InputError: Its output is none of these, or of another number of classes.
    """
    noise = np.random.default_rng(0).integers(0, 256, (1, *size, 3)).astype(np.float32)
    given = forward(as_input(file, noise))
    to_logits = _reader(file, given)
    height, width = to_logits(given).shape[1:3]
    rows, cols = size
    aligned = all(
        n > 1 and side % n and (side - 1) % (n - 1) == 0
        for side, n in ((rows, height), (cols, width))
    )
    stride = (rows - 1) // (height - 1) if aligned else max(1, rows // height)
    return Adapted(
        lambda images: to_logits(forward(as_input(file, images))), stride, half_pixel=not aligned
    )


def as_input(file: ExportedFile, images: np.ndarray) -> np.ndarray:
    """`(N, H, W, 3)`, 0 to 255 -> what the file takes."""
    if file.normalization is None:
        pixels = np.rint(images)
    else:
        mean, std = (np.array(values, np.float32) for values in file.normalization[:2])
        pixels = (np.asarray(images, np.float32) / 255 - mean) / std
    if file.signature.channels_first:
        pixels = pixels.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(pixels, file.signature.dtype)


def _reader(file: ExportedFile, given: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """What turns outputs like the given one into logits."""
    classes, shape = len(file.label_set), given.shape
    if given.dtype.kind in "iub":
        if given.ndim == 4 and 1 in (shape[1], shape[3]):
            axis = 1 if shape[1] == 1 else 3
            return lambda labels: _of_labels(file, labels.squeeze(axis))
        if given.ndim == 3:
            return lambda labels: _of_labels(file, labels)
    elif given.ndim == 4:
        order = (1, 3) if file.signature.channels_first else (3, 1)
        for axis in order:
            if shape[axis] == classes > 1:
                return _of_scores(np.moveaxis(given, axis, -1), axis)
        for axis in order:
            if shape[axis] == 1 and classes == 2:
                return _of_one_score(given, axis)
    raise InputError(
        f"{file.path.name} gives {given.dtype} numbers of shape {shape}, which are neither scores "
        f"of {classes} classes, (N, {classes}, h, w) or (N, h, w, {classes}), nor labels (N, h, w) "
        "of whole numbers. Give class_names with one name for each channel."
    )


def _of_labels(file: ExportedFile, labels: np.ndarray) -> np.ndarray:
    """`(N, h, w)` ids -> `(N, h, w, classes)`."""
    classes = len(file.label_set)
    ids = labels.astype(np.int64)
    if ids.min(initial=0) < 0 or ids.max(initial=0) >= classes:
        raise InputError(
            f"{file.path.name} gives labels from {ids.min()} to {ids.max()}, but class_names has "
            f"{classes} names; give one for each label."
        )
    return np.float32(CERTAIN) * (ids[..., None] == np.arange(classes)).astype(np.float32)


def _of_scores(scores: np.ndarray, axis: int) -> Callable[[np.ndarray], np.ndarray]:
    """Logits as they are; of probabilities, their logarithms."""
    sums = scores.astype(np.float32).sum(-1)
    if scores.min() >= 0 and np.abs(sums - 1).max() <= 0.01:
        return lambda values: _log(np.moveaxis(values, axis, -1))
    return lambda values: np.ascontiguousarray(np.moveaxis(values, axis, -1), np.float32)


def _of_one_score(scores: np.ndarray, axis: int) -> Callable[[np.ndarray], np.ndarray]:
    """Of a network with one channel: logits, or probabilities, of the second of two classes."""

    def to_logits(values: np.ndarray) -> np.ndarray:
        value = np.moveaxis(values, axis, -1).astype(np.float32)
        return np.concatenate([np.zeros_like(value), value], -1)

    def to_logs(values: np.ndarray) -> np.ndarray:
        value = np.moveaxis(values, axis, -1).astype(np.float32)
        return _log(np.concatenate([1 - value, value], -1))

    return to_logs if scores.min() >= 0 and scores.max() <= 1 else to_logits


def _log(probabilities: np.ndarray) -> np.ndarray:
    logs: np.ndarray = np.log(np.maximum(probabilities.astype(np.float32), LEAST))
    return logs
