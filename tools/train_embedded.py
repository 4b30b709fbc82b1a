"""Trains the small model included in easyseg (`pretrained/mini`), from random initialization.

A student learns from a teacher and from ground truth, on random crops of any images:
- target of a pixel: `(1 - a) * teacher's probabilities + a * one-hot label` (a = 0 without label);
- hints: after each block of the backbone, where teacher and student have the same shape, the
  student's features are fitted to the teacher's; the loss is the unexplained fraction of the
  teacher's variance (Romero et al., "FitNets", ICLR 2015, https://arxiv.org/abs/1412.6550;
  Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", CVPR 2022,
  https://arxiv.org/abs/2106.05237).
At first each block is fed with the teacher's features, so that all blocks learn at once from the
first step ("blocks"); then the network runs as a whole ("whole").

    python tools/train_embedded.py prepare --labeled VOC --split train --images DIR ...
    python tools/train_embedded.py train --teacher mobilenetv2.voc
    python tools/train_embedded.py save pretrained/mini

Every epoch saves a checkpoint; the same command (with the same `--images-seen` and `--epoch`)
resumes from it, and `train --start pretrained/mini` continues from saved weights. Runs on
any Keras backend (set KERAS_BACKEND); the teacher is a name from `easyseg models` or a bundle.
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

from easyseg._keras import backend, keras
from easyseg.datasets.mask_files import read_values
from easyseg.evaluation.metrics import ConfusionMatrix
from easyseg.io.read_image import read_image
from easyseg.models.build import build_model, logits_model
from easyseg.models.config import ModelConfig
from easyseg.models.layers.resize import AlignCornersResize
from easyseg.results.label_set import load_label_set
from easyseg.results.logit_grid import LogitGrid
from easyseg.weights.bundle import EXPORTED, read_bundle, save_bundle
from easyseg.weights.loader import load_model
from easyseg.weights.readers import load_weights

IMAGE_SIDE = 320  # longest side of the training images
SCALES = (0.5, 1.75)  # of the training images, in a crop
STRIDE = 4  # of the student's logits, where the loss is taken
VOID = 255
HELD_OUT = 20  # one labeled image in this many is held out for selection, by hash of its name
STUDENT = ModelConfig(backbone="mobilenetv2", head_channels=128, low_level_channels=32)
BLOCKS = 17  # inverted residuals of the backbone
LOW_LEVEL = "MobilenetV2-expanded_conv_2-depthwise-relu6"
PERSON = 15
# (mode, crop, batch, peak learning rate, fraction of all images): small crops first, the cheap ones
STAGES = (
    ("blocks", 97, 16, 1e-2, 0.50),
    ("whole", 129, 16, 1e-3, 0.25),
    ("whole", 193, 16, 7e-4, 0.15),
    ("whole", 257, 16, 5e-4, 0.10),
)
CONTINUED = (  # from saved weights: higher rates would destroy them
    ("whole", 129, 16, 7e-4, 0.20),
    ("whole", 193, 16, 5e-4, 0.45),
    ("whole", 257, 16, 4e-4, 0.35),
)


# ---------------------------------------------------------------- prepare


def prepare(args: argparse.Namespace) -> None:
    """Shrinks the images and their masks into one .npz each."""
    args.cache.mkdir(parents=True, exist_ok=True)
    for name, image_path, mask_path in _jobs(args):
        path = args.cache / f"{name}.npz"
        if path.exists():
            continue
        image = _shrink(read_image(image_path))
        label = np.zeros((0, 0), np.uint8)
        if mask_path is not None:
            label = read_values(mask_path)
            label = cv2.resize(label, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, image=image, label=label)
        part.replace(path)


def _jobs(args: argparse.Namespace) -> list[tuple[str, Path, Path | None]]:
    jobs: list[tuple[str, Path, Path | None]] = []
    names = (args.labeled / f"ImageSets/Segmentation/{args.split}.txt").read_text().split()
    for name in names:
        image = args.labeled / f"JPEGImages/{name}.jpg"
        jobs.append((f"labeled_{name}", image, args.labeled / f"SegmentationClass/{name}.png"))
    for folder in args.images:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in {".jpg", ".jpeg", ".png"}:
                key = hashlib.sha256(str(path.relative_to(folder)).encode()).hexdigest()[:8]
                jobs.append((f"{folder.name}_{path.stem[:40]}_{key}", path, None))
    return jobs


def _shrink(image: np.ndarray) -> np.ndarray:
    scale = IMAGE_SIDE / max(image.shape[:2])
    if scale >= 1:
        return image
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


# ---------------------------------------------------------------- data


def held_out(name: str) -> bool:
    """Whether a labeled image is held out for selection."""
    return (
        name.startswith("labeled_")
        and int(hashlib.sha256(name.encode()).hexdigest(), 16) % HELD_OUT == 0
    )


def load_samples(cache: Path, *, selection: bool) -> list[dict[str, np.ndarray]]:
    """The prepared images, in memory."""
    samples = []
    for path in sorted(cache.glob("*.npz")):
        if held_out(path.stem) == selection:
            with np.load(path) as data:
                samples.append({key: data[key] for key in data.files})
    return samples


class Crops(keras.utils.PyDataset):
    """Batches of random crops: images `(B, S, S, 3) uint8` and targets `(B, s, s, 2)`.

    A target is the label (255 where there is none) and the weight: 0 outside the image.
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
        images, targets = zip(*(self._one(self.samples[p], rng) for p in picks), strict=True)
        hints = np.zeros((self.batch, BLOCKS), np.float32)
        return np.stack(images), {"classes": np.stack(targets), "hints": hints}

    def _one(self, sample, rng):
        image, label = sample["image"], sample["label"]
        # output pixel i lies at offset + i / scale in the image
        scale = 2 ** rng.uniform(*np.log2(SCALES))
        seen = (self.crop - 1) / scale
        offset = [
            rng.uniform(min(0.0, side - 1 - seen), max(0.0, side - 1 - seen))
            for side in image.shape[:2]
        ]
        image = cv2.warpAffine(
            cv2.blur(image, (2, 2)) if scale < 0.6 else image,
            np.array([[1 / scale, 0, offset[1]], [0, 1 / scale, offset[0]]]),
            (self.crop, self.crop),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderValue=(127, 127, 127),
        )
        rows, cols = (
            np.rint(offset[axis] + np.arange(0, self.crop, STRIDE) / scale).astype(int)
            for axis in (0, 1)
        )
        inside = ((rows >= 0) & (rows < image.shape[0]))[:, None] & (
            (cols >= 0) & (cols < image.shape[1])
        )
        target = np.full((len(rows), len(cols), 2), VOID, np.float32)
        target[..., 1] = inside
        if label.size:
            clipped = (
                np.clip(at, 0, side - 1) for at, side in zip((rows, cols), label.shape, strict=True)
            )
            target[..., 0] = np.where(inside, label[np.ix_(*clipped)], VOID)
        if rng.random() < 0.5:
            image, target = image[:, ::-1], target[:, ::-1]
        return _color_jitter(image, rng), target


def _color_jitter(image: np.ndarray, rng) -> np.ndarray:
    x = image.astype(np.float32)
    if rng.random() < 0.8:
        gray = x @ np.float32([0.299, 0.587, 0.114])
        x = gray[..., None] + (x - gray[..., None]) * rng.uniform(0.5, 1.5)  # saturation
        x = (x - 127.5) * rng.uniform(0.7, 1.3) + 127.5 + rng.uniform(-32, 32)
        x *= rng.uniform(0.9, 1.1, 3).astype(np.float32)  # white balance
    if rng.random() < 0.05:
        x = np.repeat(x.mean(-1, keepdims=True), 3, -1)
    return np.clip(x, 0, 255).astype(np.uint8)


# ---------------------------------------------------------------- train


def distiller(student, teacher, mode: str):
    """Image -> {"classes": student's logits and teacher's probabilities, "hints": distances}."""
    ops = keras.ops
    ends = block_ends(student)
    seen = keras.Model(
        teacher.input, [teacher.get_layer(e).output for e in ends] + [teacher.output]
    )
    seen.trainable = False
    image = keras.Input(student.input.shape[1:])
    *wanted, answer = seen(image, training=False)
    found, logits = in_parts(student, ends, [image, *wanted] if mode == "blocks" else [image])
    distances = [
        ops.mean(ops.square(f - w)) / ops.mean(ops.var(w, axis=(0, 1, 2)))
        for f, w in zip(found, wanted, strict=True)
    ]
    answer = ops.softmax(AlignCornersResize(name="answer-resize")(answer, logits))
    outputs = {
        "classes": ops.concatenate([logits, answer], axis=-1),
        "hints": ops.expand_dims(ops.stack(distances), 0) + 0 * image[:, :1, 0, 0],
    }
    return keras.Model(image, outputs)


def block_ends(student) -> list[str]:
    """Layers in which the backbone's blocks end: the sum, or the projection where there is none."""
    names = {layer.name for layer in student.layers}
    blocks = ["MobilenetV2-expanded_conv" + (f"_{i}" if i else "") for i in range(BLOCKS)]
    return [f"{b}-add" if f"{b}-add" in names else f"{b}-project-BatchNorm" for b in blocks]


def in_parts(student, ends: list[str], inputs: list):
    """Features after each block, and logits; a block without an input takes the one before."""
    found, low = [], student.get_layer(LOW_LEVEL).output
    start = student.input
    for i, end in enumerate(ends):
        here = student.get_layer(end).output
        fed = inputs[i] if i < len(inputs) else found[-1]
        if end.split("-")[1] == LOW_LEVEL.split("-")[1]:
            feature, low_found = keras.Model(start, [here, low])(fed)
        else:
            feature = keras.Model(start, here)(fed)
        found.append(feature)
        start = here
    high = inputs[BLOCKS] if len(inputs) > BLOCKS else found[-1]
    return found, keras.Model([start, low], student.output)([high, low_found])


def class_loss(trust_labels: float):
    """Cross-entropy against the mixture of teacher and label, inside the image."""

    def classes(target, output):
        ops = keras.ops
        logits, answer = ops.split(output, 2, axis=-1)
        label, weight = target[..., 0], target[..., 1]
        trust = trust_labels * ops.cast(label != VOID, "float32")[..., None]
        truth = ops.one_hot(ops.cast(label, "int32"), STUDENT.num_classes)
        goal = trust * truth + (1 - trust) * answer
        loss = -ops.sum(goal * ops.log_softmax(logits, axis=-1), axis=-1)
        return ops.sum(loss * weight) / (ops.sum(weight) + 1.0)

    return classes


def hint_loss(_, distances):
    """Share of unexplained variance, mean over the blocks."""
    return keras.ops.mean(distances)


def plan(
    total: int, epoch_images: int, stages: tuple[tuple, ...] = STAGES
) -> list[tuple[str, int, int, int, float]]:
    """One `(mode, crop, batch, steps, learning rate)` per epoch of about `epoch_images`.

    The rate rises and falls once in "blocks" and once in "whole", with a cosine.
    """
    rows = [
        (mode, crop, batch, epoch_images // batch, rate)
        for mode, crop, batch, rate, share in stages
        for _ in range(max(1, round(total * share / epoch_images)))
    ]
    epochs = []
    for i, row in enumerate(rows):
        same = [k for k, other in enumerate(rows) if other[0] == row[0]]
        progress = (i - same[0]) / len(same)
        share = min(1.0, (progress + 0.01) / 0.03) * (0.5 + 0.5 * math.cos(math.pi * progress))
        epochs.append((*row[:-1], row[-1] * share))
    return epochs


def train(args: argparse.Namespace) -> None:
    """Trains from the last checkpoint, or from random weights."""
    keras.utils.set_random_seed(args.seed)
    args.run.mkdir(parents=True, exist_ok=True)
    samples, selection = (load_samples(args.cache, selection=s) for s in (False, True))
    print(f"{len(samples)} images to train on, {len(selection)} to select by, {backend()}")
    student = logits_model(build_model(STUDENT))
    for layer in student.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.99
    optimizer = keras.optimizers.AdamW(weight_decay=args.weight_decay, clipnorm=5.0)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    optimizer.build(student.trainable_variables)
    teacher = logits_model(load_model(args.teacher).model)
    state = args.run / "state.npz"
    if args.start and not state.exists():
        load_weights(student, read_bundle(args.start).weights, "bundle")
    first, seen, average = restore(state, student, optimizer)
    epochs = plan(args.images_seen, args.epoch, CONTINUED if args.start else STAGES)
    model, compiled = None, None
    for number in range(first, len(epochs)):
        mode, crop, batch, steps, rate = epochs[number]
        if mode != compiled:
            model, compiled = distiller(student, teacher, mode), mode
            model.compile(
                optimizer,
                {"classes": class_loss(args.labels), "hints": hint_loss},
                loss_weights={"classes": 1.0, "hints": args.hints},
                jit_compile=False if backend() == "tensorflow" else "auto",
            )
        optimizer.learning_rate = rate
        crops = Crops(samples, crop, batch, steps, seed=args.seed + number)
        started = time.time()
        history = model.fit(crops, verbose=0).history
        seen += batch * steps
        row = {"epoch": number + 1, "of": len(epochs), "seen": seen, "mode": mode, "crop": crop}
        row |= {key: round(history[f"{key}_loss"][-1], 4) for key in ("classes", "hints")}
        row["seconds"] = round(time.time() - started, 1)
        if (number + 1) % args.check_every == 0 or number + 1 == len(epochs):
            row |= scores(student, selection)
        average = [
            args.ema * a + (1 - args.ema) * keras.ops.convert_to_numpy(v)
            for a, v in zip(average, student.variables, strict=True)
        ]
        log(args.run / "curve.csv", row)
        checkpoint(state, student, optimizer, average, number + 1, seen)


def scores(model, samples) -> dict[str, float]:
    """Mean and person IoU on the images kept for selection, at their own size."""
    confusion = ConfusionMatrix(STUDENT.num_classes)
    for sample in samples:
        canvas = np.full((1, IMAGE_SIDE + 1, IMAGE_SIDE + 1, 3), 127.5, np.float32)
        height, width = sample["label"].shape
        canvas[0, :height, :width] = sample["image"]
        logits = np.asarray(model.predict_on_batch(canvas))[0]
        at = [np.arange(side) / STRIDE for side in (height, width)]
        confusion.update(sample["label"], LogitGrid(logits, *at).labels())
    return {"miou": round(confusion.mean_iou(), 4), "person": round(confusion.iou[PERSON], 4)}


def log(path: Path, row: dict) -> None:
    """Appends to the curve, and says it."""
    fields = [
        "epoch",
        "of",
        "seen",
        "mode",
        "crop",
        "classes",
        "hints",
        "seconds",
        "miou",
        "person",
    ]
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fields)
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


def restore(path: Path, student, optimizer=None) -> tuple[int, int, list[np.ndarray]]:
    """Epochs done, images seen, and the weights averaged over the epochs."""
    if not path.exists():
        return 0, 0, [keras.ops.convert_to_numpy(v) for v in student.variables]
    with np.load(path) as data:
        states = {"model": student.variables, "optimizer": optimizer.variables if optimizer else []}
        for kind, variables in states.items():
            for i, variable in enumerate(variables):
                variable.assign(data[f"{kind}{i:05}"])
        average = [data[f"average{i:05}"] for i in range(len(student.variables))]
        return int(data["epoch"]), int(data["seen"]), average


# ---------------------------------------------------------------- save


def save(args: argparse.Namespace) -> None:
    """Writes the weights (or their average over the last epochs) as a float16 bundle."""
    model = build_model(STUDENT)
    small = logits_model(model)
    epoch, seen, average = restore(args.run / "state.npz", small)
    if args.average:
        for variable, value in zip(small.variables, average, strict=True):
            variable.assign(value)
    card = args.card.read_text("utf-8") if args.card else ""
    config = STUDENT.replace(input_size=(args.side, args.side))
    save_bundle(args.folder, model, config, load_label_set("voc"), card=card, dtype="float16")
    print(f"{args.folder}: epoch {epoch}, {seen} images seen. Export it too:")
    print(
        f"easyseg export -m {args.folder} -o {args.folder}/{EXPORTED} --dynamic --precision float16"
    )


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("prepare")
    one.set_defaults(run_command=prepare)
    one.add_argument("--labeled", type=Path, required=True, help="folder in VOC layout")
    one.add_argument("--split", default="train")
    one.add_argument("--images", type=Path, nargs="*", default=[])
    one.add_argument("--cache", type=Path, default=Path(".train/cache"))
    two = commands.add_parser("train")
    two.set_defaults(run_command=train)
    two.add_argument("--cache", type=Path, default=Path(".train/cache"))
    two.add_argument("--run", type=Path, default=Path(".train/run"))
    two.add_argument("--teacher", default="mobilenetv2.voc", help="name or bundle")
    two.add_argument(
        "--start", type=Path, help="bundle to continue from, instead of random weights"
    )
    two.add_argument("--hints", type=float, default=5.0, help="weight of the hints")
    two.add_argument("--images-seen", type=int, default=240_000)
    two.add_argument("--epoch", type=int, default=4_000, help="images per epoch")
    two.add_argument("--labels", type=float, default=0.5, help="trust in true labels, 0 to 1")
    two.add_argument("--check-every", type=int, default=5)
    two.add_argument("--seed", type=int, default=0)
    three = commands.add_parser("save")
    three.set_defaults(run_command=save)
    three.add_argument("folder", type=Path)
    three.add_argument("--run", type=Path, default=Path(".train/run"))
    three.add_argument("--card", type=Path)
    three.add_argument("--side", type=int, default=513, help="to which images are fitted")
    two.add_argument("--weight-decay", type=float, default=1e-3)
    two.add_argument("--ema", type=float, default=0.8, help="of the weights, per epoch")
    three.add_argument("--average", action="store_true", help="the averaged weights")
    args = parser.parse_args()
    args.run_command(args)


if __name__ == "__main__":
    main()
