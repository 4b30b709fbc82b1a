"""What the teachers say of a whole image, as probabilities of the student's classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from easyseg.models.build import build_model, logits_model
from easyseg.weights.loader import load_model
from embedded.recipes import Recipe

Ask = Callable[[np.ndarray, int], tuple[np.ndarray, float]]  # image, view -> logits, their spacing
Views = tuple[tuple[int, bool], ...]
VIEW = 512  # longest side of the image that an expert or a .tflite file sees
CANVAS_STEP = 64  # so that images of many sizes make few shapes
SURE = (0.4, 0.8)  # an expert's probability of a class from which it begins to decide, and decides


class Teachers:
    """Asks a recipe's teachers."""

    def __init__(self, recipe: Recipe, teacher: str) -> None:
        self.views = recipe.views
        self.teacher = _open(teacher, recipe.teacher_stride)
        self.expert = _open(recipe.expert, None) if recipe.expert else None
        names = recipe.label_set.names
        self.to_student = _matrix(recipe.teacher_names, names)
        if self.expert is not None:
            self.expert_to_student = _matrix(recipe.expert_names, names)

    def answer(self, image: np.ndarray, side: tuple[int, int], *, expert: bool) -> np.ndarray:
        """Probabilities `(*side, classes) float32`, averaged over the recipe's views.

        Args:
            image: `(H, W, 3) uint8`.
            side: Rows and columns, spread evenly from the first pixel to the last.
            expert: Asks the second teacher too.
        """
        found = _asked(self.teacher, image, side, self.views) @ self.to_student
        if not (expert and self.expert):
            return found
        second = _asked(self.expert, image, side, ((VIEW, False), (VIEW, True)))
        foreground = second[..., 1:] @ self.expert_to_student
        low, high = SURE
        share = np.clip((foreground.max(-1, keepdims=True) - low) / (high - low), 0, 1)
        foreground /= foreground.sum(-1, keepdims=True) + 1e-6
        return (1 - share) * found + share * foreground


def _matrix(names: tuple[str, ...], student: tuple[str, ...]) -> np.ndarray:
    return np.float32([[name == own for own in student] for name in names])


def _asked(ask: Ask, image: np.ndarray, side: tuple[int, int], views: Views) -> np.ndarray:
    answers = []
    for view, mirrored in views:
        logits, spacing = ask(np.ascontiguousarray(image[:, ::-1]) if mirrored else image, view)
        rows, cols = (
            np.linspace(0, (length - 1) / spacing, count, dtype=np.float32)
            for length, count in zip(image.shape[:2], side, strict=True)
        )
        values = bilinear(logits, rows, cols)
        values = np.exp(values - values.max(-1, keepdims=True))
        values /= values.sum(-1, keepdims=True)
        answers.append(values[:, ::-1] if mirrored else values)
    return np.mean(answers, axis=0)


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


def _open(teacher: str, output_stride: int | None) -> Ask:
    if Path(teacher).suffix == ".tflite":
        return _open_tflite(teacher)
    loaded = load_model(teacher)
    stride = output_stride or loaded.config.output_stride
    model = build_model(loaded.config.replace(output_stride=stride))
    model.set_weights(loaded.model.get_weights())
    network = logits_model(model)

    def ask(image: np.ndarray, view: int) -> tuple[np.ndarray, float]:
        small, scale = _fitted(image, view)
        side = [1 + -(-(length - 1) // CANVAS_STEP) * CANVAS_STEP for length in small.shape[:2]]
        canvas = np.full((1, *side, 3), 127.5, np.float32)
        canvas[0, : small.shape[0], : small.shape[1]] = small
        return np.asarray(network.predict_on_batch(canvas))[0], stride / scale

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

    def ask(image: np.ndarray, _: int) -> tuple[np.ndarray, float]:
        small, scale = _fitted(image, VIEW)
        canvas = np.full(given["shape"], 127, np.uint8)
        canvas[0, : small.shape[0], : small.shape[1]] = small
        network.set_tensor(given["index"], canvas)
        network.invoke()
        values = network.get_tensor(logits["index"])[0].astype(np.float32)
        return (values - zero) * gain, VIEW / values.shape[0] / scale

    return ask


def _fitted(image: np.ndarray, view: int) -> tuple[np.ndarray, float]:
    scale = view / max(image.shape[:2])
    size = [max(1, round(length * scale)) for length in image.shape[1::-1]]
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=way), scale
