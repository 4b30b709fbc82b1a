"""What the teachers say of a whole image, as probabilities of the student's classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from easyseg.models.build import logits_model
from easyseg.weights.loader import load_model
from embedded.recipes import Recipe

Ask = Callable[[np.ndarray], tuple[np.ndarray, float]]  # -> logits, their spacing in pixels
VIEW = 512  # longest side of the image that a teacher sees
SURE = (0.4, 0.8)  # an expert's probability of a class from which it begins to decide, and decides


class Teachers:
    """Asks a recipe's teachers."""

    def __init__(self, recipe: Recipe, teacher: str) -> None:
        self.teacher = _open(teacher)
        self.expert = _open(recipe.expert) if recipe.expert else None
        names = recipe.label_set.names
        self.to_student = _matrix(recipe.teacher_names, names)
        if self.expert is not None:
            self.expert_to_student = _matrix(recipe.expert_names, names)

    def answer(self, image: np.ndarray, side: tuple[int, int], *, expert: bool) -> np.ndarray:
        """Probabilities `(*side, classes) float32` of the image and its mirror image.

        Args:
            image: `(H, W, 3) uint8`.
            side: Rows and columns, spread evenly from the first pixel to the last.
            expert: Asks the second teacher too.
        """
        found = _asked(self.teacher, image, side) @ self.to_student
        if not (expert and self.expert):
            return found
        second = _asked(self.expert, image, side)
        foreground = second[..., 1:] @ self.expert_to_student
        low, high = SURE
        share = np.clip((foreground.max(-1, keepdims=True) - low) / (high - low), 0, 1)
        foreground /= foreground.sum(-1, keepdims=True) + 1e-6
        return (1 - share) * found + share * foreground


def _matrix(names: tuple[str, ...], student: tuple[str, ...]) -> np.ndarray:
    return np.float32([[name == own for own in student] for name in names])


def _asked(ask: Ask, image: np.ndarray, side: tuple[int, int]) -> np.ndarray:
    answers = []
    for mirrored in (False, True):
        logits, spacing = ask(np.ascontiguousarray(image[:, ::-1]) if mirrored else image)
        rows, cols = (
            np.linspace(0, (length - 1) / spacing, count, dtype=np.float32)
            for length, count in zip(image.shape[:2], side, strict=True)
        )
        values = bilinear(logits, rows, cols)
        values = np.exp(values - values.max(-1, keepdims=True))
        values /= values.sum(-1, keepdims=True)
        answers.append(values[:, ::-1] if mirrored else values)
    return (answers[0] + answers[1]) / 2


def bilinear(grid: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Values `(R, C, N)` of a grid `(H, W, N)` at fractional positions; its border outside."""
    for axis, wanted in enumerate((rows, cols)):
        last = grid.shape[axis] - 1
        at = np.clip(wanted, 0, last)
        low = np.minimum(at.astype(int), max(last - 1, 0))
        share = np.expand_dims((at - low).astype(np.float32), tuple(range(1, grid.ndim - axis)))
        before = np.take(grid, low, axis)
        grid = before + share * (np.take(grid, np.minimum(low + 1, last), axis) - before)
    return grid


def _open(teacher: str) -> Ask:
    if Path(teacher).suffix == ".tflite":
        return _open_tflite(teacher)
    network = logits_model(load_model(teacher).model)

    def ask(image: np.ndarray) -> tuple[np.ndarray, float]:
        small, scale = _fitted(image)
        canvas = np.full((1, VIEW + 1, VIEW + 1, 3), 127.5, np.float32)
        canvas[0, : small.shape[0], : small.shape[1]] = small
        logits = np.asarray(network.predict_on_batch(canvas))[0]
        return logits, VIEW / (logits.shape[0] - 1) / scale

    return ask


def _open_tflite(path: str) -> Ask:
    """A quantized network that ends in the labels: what lies before them is read."""
    import tensorflow as tf  # noqa: PLC0415  (only for such a teacher)

    network = tf.lite.Interpreter(path, num_threads=2, experimental_preserve_all_tensors=True)
    network.allocate_tensors()
    (given,) = network.get_input_details()
    (logits,) = [d for d in network.get_tensor_details() if d["name"].startswith("logits/")
                 and len(d["shape"]) == 4 and d["shape"][1] > 1]  # fmt: skip
    gain, zero = logits["quantization"]

    def ask(image: np.ndarray) -> tuple[np.ndarray, float]:
        small, scale = _fitted(image)
        canvas = np.full(given["shape"], 127, np.uint8)
        canvas[0, : small.shape[0], : small.shape[1]] = small
        network.set_tensor(given["index"], canvas)
        network.invoke()
        values = network.get_tensor(logits["index"])[0].astype(np.float32)
        return (values - zero) * gain, VIEW / values.shape[0] / scale

    return ask


def _fitted(image: np.ndarray) -> tuple[np.ndarray, float]:
    scale = VIEW / max(image.shape[:2])
    size = [max(1, round(length * scale)) for length in image.shape[1::-1]]
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=way), scale
