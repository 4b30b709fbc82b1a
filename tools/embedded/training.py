"""The student, its loss and its schedule; checkpoints and the curve."""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
from pathlib import Path

import h5py
import numpy as np

from easyseg._keras import backend, keras
from easyseg.evaluation.metrics import ConfusionMatrix
from easyseg.models.build import build_model, logits_model
from easyseg.weights.bundle import bundle_folder, read_bundle
from easyseg.weights.loader import load_model
from easyseg.weights.variable_names import named_variables
from embedded.hints import by_blocks
from embedded.recipes import Recipe, Stage
from embedded.samples import (
    IMAGE_SIDE,
    NONE_OF_THESE,
    STRIDE,
    Crops,
    best_labels,
    class_balance,
    class_shares,
    draw_weights,
    load_samples,
)
from embedded.teachers import bilinear

FIELDS = (
    "epoch", "of", "seen", "images", "mode", "frozen", "crop", "rate", "loss", "seconds",
    "agreement", "miou", "person",
)  # fmt: skip
BLOCK = "MobilenetV2-expanded_conv"


def begin(recipe: Recipe, start: str):
    """The student, with the values of a bundle's weights where names and shapes agree."""
    student = logits_model(build_model(recipe.config))
    for layer in student.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.99
    if start:
        with h5py.File(read_bundle(bundle_folder(start)).weights) as file:
            for name, variable in named_variables(student).items():
                if name in file and file[name].shape == tuple(variable.shape):
                    variable.assign(file[name][()])
    return student


def compiled(student, stage: Stage, recipe: Recipe, weight_decay: float):
    """The model that trains the student behind its first blocks, and its optimizer."""
    for layer in student.layers:
        layer.trainable = _block(layer.name) >= stage.frozen
    optimizer = keras.optimizers.AdamW(weight_decay=weight_decay, clipnorm=5.0)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    optimizer.build(student.trainable_variables)
    model = student
    if stage.mode == "blocks":
        model = by_blocks(student, logits_model(load_model(recipe.teacher).model))
    model.compile(optimizer, loss, jit_compile=False if backend() == "tensorflow" else "auto")
    return model, optimizer


def _block(layer: str) -> float:
    """Number of the backbone's block that a layer is in; infinite behind the backbone."""
    if layer.startswith(BLOCK):
        number = layer.removeprefix(BLOCK).split("-")[0].removeprefix("_")
        return int(number or 0)
    return -1 if layer.startswith("MobilenetV2-Conv-") else math.inf


def loss(goal, logits):
    """Cross-entropy against the mixture of teachers and labels, inside the image."""
    ops = keras.ops
    goal, weight = goal[..., :-1], goal[..., -1]
    values = -ops.sum(goal * ops.log_softmax(logits, axis=-1), axis=-1)
    return ops.sum(values * weight) / (ops.sum(weight) + 1.0)


def plan(total: int, epoch_images: int, stages: tuple[Stage, ...]) -> list[tuple[Stage, float]]:
    """Stage and learning rate of each epoch; the rate rises and falls once in each mode."""
    rows = [s for s in stages for _ in range(max(1, round(total * s.share / epoch_images)))]
    epochs = []
    for number, stage in enumerate(rows):
        same = [k for k, other in enumerate(rows) if other.mode == stage.mode]
        progress = (number - same[0]) / len(same)
        share = min(1.0, (progress + 0.01) / 0.03) * (0.5 + 0.5 * math.cos(math.pi * progress))
        epochs.append((stage, stage.rate * share))
    return epochs


def train(recipe: Recipe, args: argparse.Namespace) -> None:
    """Trains from the last checkpoint, or from the recipe's start."""
    keras.utils.set_random_seed(args.seed)
    args.run.mkdir(parents=True, exist_ok=True)
    selection = list(load_samples(args.cache, selection=True))
    student = begin(recipe, args.start or recipe.start)
    state = args.run / "state.npz"
    first, seen, average = restore(state, student)
    epochs = plan(args.images_seen, args.epoch, recipe.continued if args.start else recipe.stages)
    model, optimizer, ready = None, None, None
    samples: list[dict[str, np.ndarray]] = []
    for number in range(first, len(epochs)):
        stage, rate = epochs[number]
        steps = args.epoch // stage.batch
        if (stage.mode, stage.frozen) != ready:
            model, optimizer = compiled(student, stage, recipe, args.weight_decay)
            ready = stage.mode, stage.frozen
            if number == first:
                restore_optimizer(state, optimizer)
        if len(list(args.cache.glob("*.npz"))) > len(samples) + len(selection):
            samples = list(load_samples(args.cache, selection=False))
            shares = class_shares(samples, len(recipe.label_set))
            weights = draw_weights(shares, recipe.rare)
            balance = class_balance(shares, recipe.balance)
        optimizer.learning_rate = rate
        crops = Crops(samples, weights, balance, recipe, stage, steps, seed=args.seed + number)
        started = time.time()
        value = model.fit(crops, verbose=0).history["loss"][-1]
        seen += stage.batch * steps
        row = {"epoch": number + 1, "of": len(epochs), "seen": seen, "images": len(samples)}
        row |= {
            "mode": stage.mode,
            "frozen": stage.frozen,
            "crop": stage.crop,
            "rate": round(rate, 6),
            "loss": round(value, 4),
        }
        row["seconds"] = round(time.time() - started, 1)
        average = [
            args.ema * a + (1 - args.ema) * keras.ops.convert_to_numpy(v)
            for a, v in zip(average, student.variables, strict=True)
        ]
        if (number + 1) % args.check_every == 0 or number + 1 == len(epochs):
            row |= scores(student, selection, recipe)
        checkpoint(state, student, optimizer, average, number + 1, seen)
        log(args.run / "curve.csv", row)


def scores(model, samples, recipe: Recipe) -> dict[str, float]:
    """On the images held out: agreement with labels or else teachers, mean IoU of labels."""
    agreed = total = 0
    confusion = ConfusionMatrix(len(recipe.label_set))
    for sample in samples:
        canvas = np.full((1, IMAGE_SIDE + 1, IMAGE_SIDE + 1, 3), 127.5, np.float32)
        height, width = sample["image"].shape[:2]
        canvas[0, :height, :width] = sample["image"]
        logits = np.asarray(model.predict_on_batch(canvas))[0]
        wanted, label = best_labels(sample), sample["label"]
        found = _labels(logits, (height, width), wanted.shape)
        agreed, total = agreed + (found == wanted).sum(), total + wanted.size
        if label.size:
            known = np.where(label < NONE_OF_THESE, label, 255)
            confusion.update(known, _labels(logits, (height, width), label.shape))
    person = confusion.iou[recipe.label_set.ids_of("person")[0]]
    found = {"agreement": agreed / total, "miou": confusion.mean_iou(), "person": person}
    return {key: round(float(value), 4) for key, value in found.items()}


def _labels(logits, size, side):
    rows, cols = (
        np.linspace(0, (length - 1) / STRIDE, count)
        for length, count in zip(size, side, strict=True)
    )
    return bilinear(logits, rows, cols).argmax(-1)


def log(path: Path, row: dict) -> None:
    """Appends to the curve, and says it."""
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if fresh:
            writer.writeheader()
        writer.writerow(row)
    print(json.dumps(row), flush=True)


def checkpoint(path: Path, student, optimizer, average, epoch: int, seen: int) -> None:
    """Everything that going on needs, in one file that is replaced at once."""
    states = {"model": student.variables, "optimizer": optimizer.variables, "average": average}
    values = {
        f"{kind}{i:05}": keras.ops.convert_to_numpy(value)
        for kind, state in states.items()
        for i, value in enumerate(state)
    }
    part = path.with_suffix(".part.npz")
    np.savez(part, epoch=epoch, seen=seen, **values)
    part.replace(path)


def restore(path: Path, student) -> tuple[int, int, list[np.ndarray]]:
    """Epochs done, images seen, and the weights averaged over the epochs."""
    if not path.exists():
        return 0, 0, [keras.ops.convert_to_numpy(v) for v in student.variables]
    with np.load(path) as data:
        for i, variable in enumerate(student.variables):
            variable.assign(data[f"model{i:05}"])
        average = [data[f"average{i:05}"] for i in range(len(student.variables))]
        return int(data["epoch"]), int(data["seen"]), average


def restore_optimizer(path: Path, optimizer) -> None:
    """Goes on with the moments of the last epoch, if as many variables were trained in it."""
    if not path.exists():
        return
    with np.load(path) as data:
        kept = [data[key] for key in sorted(data.files) if key.startswith("optimizer")]
    if [v.shape for v in kept] == [tuple(v.shape) for v in optimizer.variables]:
        for variable, value in zip(optimizer.variables, kept, strict=True):
            variable.assign(value)
