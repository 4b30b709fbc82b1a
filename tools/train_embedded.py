"""Trains the small model that ships with easyseg (`pretrained/mini`), from random initialisation.

A student learns from a teacher and from true labels, on random crops of any photos:
- target of a pixel: `(1 - a) * teacher's probabilities + a * one-hot label` (a = 0 without label);
- hints: the student's features after each stage of the backbone shall be the teacher's on the
  same crop, measured as the share of the teacher's variance that is not explained. They teach
  the lower layers far sooner than the class probabilities alone (Romero et al., "FitNets", ICLR
  2015, https://arxiv.org/abs/1412.6550; Beyer et al., "Knowledge distillation: A good teacher is
  patient and consistent", CVPR 2022, https://arxiv.org/abs/2106.05237).

    python tools/train_embedded.py prepare --labelled VOC --split train --photos DIR ...
    python tools/train_embedded.py train --teacher mobilenetv2.voc
    python tools/train_embedded.py save pretrained/mini

Every epoch leaves a checkpoint; the same command goes on from it. Runs on any Keras backend (set
KERAS_BACKEND); the teacher is a name from `easyseg models` or a bundle's folder.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from easyseg._keras import backend, keras
from easyseg.config import ModelConfig
from easyseg.imaging import read_image
from easyseg.labels import load_label_set
from easyseg.metrics import ConfusionMatrix
from easyseg.models.build import build_model, logits_model
from easyseg.models.resize import AlignCornersResize
from easyseg.open import open_model
from easyseg.upsample import LogitGrid
from easyseg.weights.bundle import save_bundle

PHOTO_SIDE = 320  # longest side of the training photos
SCALES = (0.5, 1.75)  # of the training photos, in a crop
STRIDE = 4  # of the student's logits, where the loss is taken
VOID = 255
HELD_OUT = 20  # one labelled photo in so many is kept for selection, by hash of its name
STUDENT = ModelConfig(backbone="mobilenetv2", head_channels=128, low_level_channels=32)
# the teacher has the same backbone; stages whose outputs the student shall reproduce
HINTS = [f"MobilenetV2-expanded_conv_{i}-project" for i in (2, 5, 9, 12, 16)]
PERSON = 15
# (crop, batch, share of all photos seen): small crops first, where a step is cheap
STAGES = ((129, 32, 0.60), (193, 16, 0.25), (257, 16, 0.15))


# ---------------------------------------------------------------- prepare


def prepare(args: argparse.Namespace) -> None:
    """Shrinks the photos and their masks into one .npz each."""
    args.cache.mkdir(parents=True, exist_ok=True)
    for name, photo_path, mask_path in _jobs(args):
        path = args.cache / f"{name}.npz"
        if path.exists():
            continue
        photo = _shrink(read_image(photo_path))
        label = np.zeros((0, 0), np.uint8)
        if mask_path is not None:
            with Image.open(mask_path) as mask:
                label = np.asarray(mask, np.uint8)
            label = cv2.resize(label, photo.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, photo=photo, label=label)
        part.replace(path)


def _jobs(args: argparse.Namespace) -> list[tuple[str, Path, Path | None]]:
    jobs: list[tuple[str, Path, Path | None]] = []
    names = (args.labelled / f"ImageSets/Segmentation/{args.split}.txt").read_text().split()
    for name in names:
        photo = args.labelled / f"JPEGImages/{name}.jpg"
        jobs.append((f"labelled_{name}", photo, args.labelled / f"SegmentationClass/{name}.png"))
    for folder in args.photos:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in {".jpg", ".jpeg", ".png"}:
                key = hashlib.sha256(str(path.relative_to(folder)).encode()).hexdigest()[:8]
                jobs.append((f"{folder.name}_{path.stem[:40]}_{key}", path, None))
    return jobs


def _shrink(photo: np.ndarray) -> np.ndarray:
    scale = PHOTO_SIDE / max(photo.shape[:2])
    if scale >= 1:
        return photo
    size = [max(1, round(side * scale)) for side in photo.shape[1::-1]]
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA)


# ---------------------------------------------------------------- data


def held_out(name: str) -> bool:
    """Whether a labelled photo is kept for selection."""
    return (
        name.startswith("labelled_")
        and int(hashlib.sha256(name.encode()).hexdigest(), 16) % HELD_OUT == 0
    )


def load_samples(cache: Path, *, selection: bool) -> list[dict[str, np.ndarray]]:
    """The prepared photos, in memory."""
    samples = []
    for path in sorted(cache.glob("*.npz")):
        if held_out(path.stem) == selection:
            with np.load(path) as data:
                samples.append({key: data[key] for key in data.files})
    return samples


class Crops(keras.utils.PyDataset):
    """Batches of random crops: photos `(B, S, S, 3) uint8` and targets `(B, s, s, 2)`.

    A target is the label (255 where there is none) and the weight: 0 outside the photo.
    """

    def __init__(self, samples, crop, batch, steps, *, seed):
        super().__init__(workers=2, use_multiprocessing=False, max_queue_size=8)
        self.samples, self.crop, self.batch, self.steps = samples, crop, batch, steps
        self.seed = seed

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        rng = np.random.default_rng([self.seed, index])
        picks = rng.integers(len(self.samples), size=self.batch)
        photos, targets = zip(*(self._one(self.samples[p], rng) for p in picks), strict=True)
        hints = np.zeros((self.batch, len(HINTS)), np.float32)
        return np.stack(photos), {"classes": np.stack(targets), "hints": hints}

    def _one(self, sample, rng):
        photo, label = sample["photo"], sample["label"]
        # output pixel i lies at offset + i / scale in the photo
        scale = 2 ** rng.uniform(*np.log2(SCALES))
        seen = (self.crop - 1) / scale
        offset = [
            rng.uniform(min(0.0, side - 1 - seen), max(0.0, side - 1 - seen))
            for side in photo.shape[:2]
        ]
        picture = cv2.warpAffine(
            cv2.blur(photo, (2, 2)) if scale < 0.6 else photo,
            np.array([[1 / scale, 0, offset[1]], [0, 1 / scale, offset[0]]]),
            (self.crop, self.crop),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderValue=(127, 127, 127),
        )
        rows, cols = (
            np.rint(offset[axis] + np.arange(0, self.crop, STRIDE) / scale).astype(int)
            for axis in (0, 1)
        )
        inside = ((rows >= 0) & (rows < photo.shape[0]))[:, None] & (
            (cols >= 0) & (cols < photo.shape[1])
        )
        target = np.full((len(rows), len(cols), 2), VOID, np.float32)
        target[..., 1] = inside
        if label.size:
            clipped = (
                np.clip(at, 0, side - 1) for at, side in zip((rows, cols), label.shape, strict=True)
            )
            target[..., 0] = np.where(inside, label[np.ix_(*clipped)], VOID)
        if rng.random() < 0.5:
            picture, target = picture[:, ::-1], target[:, ::-1]
        return _colour_jitter(picture, rng), target


def _colour_jitter(picture: np.ndarray, rng) -> np.ndarray:
    x = picture.astype(np.float32)
    if rng.random() < 0.8:
        grey = x @ np.float32([0.299, 0.587, 0.114])
        x = grey[..., None] + (x - grey[..., None]) * rng.uniform(0.5, 1.5)  # saturation
        x = (x - 127.5) * rng.uniform(0.7, 1.3) + 127.5 + rng.uniform(-32, 32)
        x *= rng.uniform(0.9, 1.1, 3).astype(np.float32)  # white balance
    if rng.random() < 0.05:
        x = np.repeat(x.mean(-1, keepdims=True), 3, -1)
    return np.clip(x, 0, 255).astype(np.uint8)


# ---------------------------------------------------------------- train


def distiller(student, teacher):
    """Photo -> {"classes": student's logits and teacher's probabilities, "hints": distances}."""
    ops = keras.ops
    teacher.trainable = False
    stages = [f"{name}-BatchNorm" for name in HINTS]
    seen = keras.Model(
        teacher.input, [teacher.get_layer(s).output for s in stages] + [teacher.output]
    )
    *wanted, answer = seen(student.input, training=False)
    distances = []
    for stage, goal in zip(stages, wanted, strict=True):
        found = student.get_layer(stage).output
        spread = ops.var(goal, axis=(0, 1, 2), keepdims=True) + 1e-3
        distances.append(ops.mean(ops.square(found - goal) / spread, axis=(1, 2, 3)))
    answer = ops.softmax(AlignCornersResize(name="answer-resize")(answer, student.output))
    outputs = {
        "classes": ops.concatenate([student.output, answer], axis=-1),
        "hints": ops.stack(distances, axis=-1),
    }
    return keras.Model(student.input, outputs)


def class_loss(trust_labels: float):
    """Cross-entropy against the mixture of teacher and label, inside the photo."""

    def classes(target, output):
        ops = keras.ops
        logits, answer = ops.split(output, 2, axis=-1)
        label, weight = target[..., 0], target[..., 1]
        trust = trust_labels * ops.cast(label != VOID, "float32")[..., None]
        truth = ops.one_hot(ops.cast(label, "int32"), STUDENT.classes)
        goal = trust * truth + (1 - trust) * answer
        loss = -ops.sum(goal * ops.log_softmax(logits, axis=-1), axis=-1)
        return ops.sum(loss * weight) / (ops.sum(weight) + 1.0)

    return classes


def hint_loss(_, distances):
    """Mean share of unexplained variance, summed over the stages."""
    return keras.ops.sum(keras.ops.mean(distances, axis=0))


def plan(total: int, epoch_photos: int) -> list[tuple[int, int, int]]:
    """One `(crop, batch, steps)` per epoch of about `epoch_photos`."""
    epochs = []
    for crop, batch, share in STAGES:
        count = max(1, round(total * share / epoch_photos))
        epochs += [(crop, batch, epoch_photos // batch)] * count
    return epochs


def train(args: argparse.Namespace) -> None:
    """Trains from the last checkpoint, or from random weights."""
    keras.utils.set_random_seed(args.seed)
    args.run.mkdir(parents=True, exist_ok=True)
    samples, selection = (load_samples(args.cache, selection=s) for s in (False, True))
    print(f"{len(samples)} photos to train on, {len(selection)} to select by, {backend()}")
    student = logits_model(build_model(STUDENT))
    for layer in student.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.99
    optimizer = make_optimizer(student, args)
    model = distiller(student, logits_model(open_model(args.teacher).model))
    model.compile(
        optimizer,
        {"classes": class_loss(args.labels), "hints": hint_loss},
        loss_weights={"classes": 1.0, "hints": args.hints},
        jit_compile=False if backend() == "tensorflow" else "auto",
    )
    state = args.run / "state.npz"
    first, seen = restore(state, student, optimizer)
    epochs = plan(args.photos_seen, args.epoch)
    for number in range(first, len(epochs)):
        crop, batch, steps = epochs[number]
        optimizer.learning_rate = args.lr * learning_rate(number / len(epochs))
        crops = Crops(samples, crop, batch, steps, seed=args.seed + number)
        started = time.time()
        history = model.fit(crops, verbose=0).history
        seen += batch * steps
        row = {"epoch": number + 1, "of": len(epochs), "seen": seen, "crop": crop}
        row |= {key: round(history[f"{key}_loss"][-1], 4) for key in ("classes", "hints")}
        row["seconds"] = round(time.time() - started, 1)
        if (number + 1) % args.check_every == 0 or number + 1 == len(epochs):
            with averaged(student, optimizer):
                row |= scores(student, selection)
        log(args.run / "curve.csv", row)
        checkpoint(state, student, optimizer, number + 1, seen)


def make_optimizer(student, args):
    """AdamW that also keeps a moving average of the weights."""
    optimizer = keras.optimizers.AdamW(
        args.lr, weight_decay=args.weight_decay, clipnorm=5.0, use_ema=True, ema_momentum=args.ema
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    optimizer.build(student.trainable_variables)
    return optimizer


def learning_rate(progress: float) -> float:
    """Share of the top rate: a short warm-up, then a cosine to zero."""
    return min(1.0, (progress + 0.004) / 0.02) * (0.5 + 0.5 * math.cos(math.pi * progress))


class averaged:  # noqa: N801  (reads as a sentence: with averaged(model, optimizer))
    """Swaps the moving average of the weights in, and the weights back."""

    def __init__(self, model, optimizer):
        self.pairs = list(
            zip(model.trainable_variables, optimizer._model_variables_moving_average, strict=True)
        )

    def __enter__(self):
        self.kept = [keras.ops.convert_to_numpy(v) for v, _ in self.pairs]
        for variable, average in self.pairs:
            variable.assign(average)

    def __exit__(self, *_):
        for (variable, _), value in zip(self.pairs, self.kept, strict=True):
            variable.assign(value)


def scores(model, samples) -> dict[str, float]:
    """Mean and person IoU on the photos kept for selection, at their own size."""
    confusion = ConfusionMatrix(STUDENT.classes)
    for sample in samples:
        canvas = np.full((1, PHOTO_SIDE + 1, PHOTO_SIDE + 1, 3), 127.5, np.float32)
        height, width = sample["label"].shape
        canvas[0, :height, :width] = sample["photo"]
        logits = np.asarray(model.predict_on_batch(canvas))[0]
        at = [np.arange(side) / STRIDE for side in (height, width)]
        confusion.update(sample["label"], LogitGrid(logits, *at).labels())
    return {"miou": round(confusion.mean_iou(), 4), "person": round(confusion.iou[PERSON], 4)}


def log(path: Path, row: dict) -> None:
    """Appends to the curve, and says it."""
    fields = ["epoch", "of", "seen", "crop", "classes", "hints", "seconds", "miou", "person"]
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fields)
        if fresh:
            writer.writeheader()
        writer.writerow(row)
    print(json.dumps(row), flush=True)


def checkpoint(path: Path, model, optimizer, epoch: int, seen: int) -> None:
    """Everything that going on needs, in one file that is replaced at once."""
    values = {
        f"{i:05}": keras.ops.convert_to_numpy(v)
        for i, v in enumerate([*model.variables, *optimizer.variables])
    }
    part = path.with_suffix(".part.npz")
    np.savez(part, epoch=epoch, seen=seen, **values)
    part.replace(path)


def restore(path: Path, model, optimizer) -> tuple[int, int]:
    """Epochs done and photos seen; 0 without a checkpoint."""
    if not path.exists():
        return 0, 0
    with np.load(path) as data:
        for i, variable in enumerate([*model.variables, *optimizer.variables]):
            variable.assign(data[f"{i:05}"])
        return int(data["epoch"]), int(data["seen"])


# ---------------------------------------------------------------- save


def save(args: argparse.Namespace) -> None:
    """Writes the averaged weights as a float16 bundle."""
    model = build_model(STUDENT)
    small = logits_model(model)
    optimizer = make_optimizer(small, args)
    epoch, seen = restore(args.run / "state.npz", small, optimizer)
    card = args.card.read_text("utf-8") if args.card else ""
    with averaged(small, optimizer):
        save_bundle(args.folder, model, STUDENT, load_label_set("voc"), card=card, dtype="float16")
    print(f"{args.folder}: epoch {epoch}, {seen} photos seen")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("prepare")
    one.set_defaults(run_command=prepare)
    one.add_argument("--labelled", type=Path, required=True, help="folder in VOC layout")
    one.add_argument("--split", default="train")
    one.add_argument("--photos", type=Path, nargs="*", default=[])
    one.add_argument("--cache", type=Path, default=Path(".train/cache"))
    two = commands.add_parser("train")
    two.set_defaults(run_command=train)
    two.add_argument("--cache", type=Path, default=Path(".train/cache"))
    two.add_argument("--run", type=Path, default=Path(".train/run"))
    two.add_argument("--teacher", default="mobilenetv2.voc", help="name or bundle")
    two.add_argument("--hints", type=float, default=1.0, help="weight of the hints")
    two.add_argument("--photos-seen", type=int, default=240_000)
    two.add_argument("--epoch", type=int, default=4_000, help="photos per epoch")
    two.add_argument("--labels", type=float, default=0.5, help="trust in true labels, 0 to 1")
    two.add_argument("--check-every", type=int, default=5)
    two.add_argument("--seed", type=int, default=0)
    three = commands.add_parser("save")
    three.set_defaults(run_command=save)
    three.add_argument("folder", type=Path)
    three.add_argument("--run", type=Path, default=Path(".train/run"))
    three.add_argument("--card", type=Path)
    for command in (two, three):
        command.add_argument("--lr", type=float, default=2e-3)
        command.add_argument("--weight-decay", type=float, default=0.02)
        command.add_argument("--ema", type=float, default=0.995)
    args = parser.parse_args()
    args.run_command(args)


if __name__ == "__main__":
    main()
