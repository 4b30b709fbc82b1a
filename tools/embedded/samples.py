"""Images, true labels and the teachers' answers: prepared once, then drawn as random crops."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from easyseg import open_dataset
from easyseg._keras import keras
from easyseg.datasets.mask_files import read_values
from easyseg.io.read_image import read_image
from embedded.recipes import CAMVID, VOC, Recipe
from embedded.teachers import Teachers, bilinear

IMAGE_SIDE = 320  # longest side of the training images
ANSWER = 3  # pixels of a training image per value of the teachers
STRIDE = 4  # of the student's logits, where the loss is taken
VOID = 255
NONE_OF_THESE = 254  # in true labels: no class that the layout names
HELD_OUT = 20  # one image in this many is held out for selection, by hash of its name


class Source(NamedTuple):
    """An image to learn from, and if it has a mask, what reads its values and their names."""

    name: str
    image: Path
    read_mask: Callable[[], np.ndarray] | None = None
    layout: str = ""
    classes: tuple[str, ...] = ()


def voc_sources(folder: Path, split: str = "train") -> list[Source]:
    """Images of a split in VOC's layout."""
    names = (folder / f"ImageSets/Segmentation/{split}.txt").read_text().split()
    images, masks = folder / "JPEGImages", folder / "SegmentationClass"
    masks_of = {name: partial(read_values, masks / f"{name}.png") for name in names}
    return [Source(f"voc_{n}", images / f"{n}.jpg", masks_of[n], "voc", VOC) for n in names]


def camvid_sources(folder: Path, split: str = "train") -> list[Source]:
    """Images of a split in the layout of SegNet's CamVid: `train/` and `trainannot/`."""
    masks = sorted((folder / f"{split}annot").glob("*.png"))
    images = {path.stem: path for path in (folder / split).iterdir()}
    return [
        Source(f"camvid_{m.stem}", images[m.stem], partial(read_values, m), "camvid", CAMVID)
        for m in masks
    ]


def facade_sources(folder: Path) -> list[Source]:
    """Images of a folder with polygons in COCO's format."""
    dataset = open_dataset(folder, format="coco")
    names = dataset.label_set.names
    samples = [sample for split in dataset.splits.values() for sample in split]
    return [Source(f"facade_{s.name[:60]}", s.image, s.read_mask, "facade", names) for s in samples]


def image_sources(folder: Path) -> list[Source]:
    """Every image of a folder and its subfolders, without masks."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in {".jpg", ".jpeg", ".png"}:
            key = hashlib.sha256(str(path.relative_to(folder)).encode()).hexdigest()[:8]
            found.append(Source(f"{folder.name}_{path.stem[:40]}_{key}", path))
    return found


def prepare(recipe: Recipe, sources: list[Source], teachers: Teachers, cache: Path) -> None:
    """Writes one .npz each, in an order of chance, so that a stopped run has some of everything."""
    cache.mkdir(parents=True, exist_ok=True)
    for source in sorted(sources, key=lambda s: _chance(s.name)):
        path = cache / f"{source.name}.npz"
        if path.exists():
            continue
        image = _shrink(read_image(source.image))
        side = tuple(1 + (length - 1) // ANSWER for length in image.shape[:2])
        answer = teachers.answer(image, side, expert=source.read_mask is None)
        label = np.zeros((0, 0), np.uint8)
        if source.read_mask is not None:
            label = cv2.resize(
                true_labels(recipe, source), image.shape[1::-1], interpolation=cv2.INTER_NEAREST
            )
            answer = _without_complete(recipe, source, label, answer)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez_compressed(
                file, image=image, label=label, answer=np.rint(answer * 255).astype(np.uint8)
            )
        part.replace(path)


def true_labels(recipe: Recipe, source: Source) -> np.ndarray:
    """A source's mask in the recipe's classes; `VOID` and `NONE_OF_THESE` beside them."""
    names, own = recipe.truth[source.layout], recipe.label_set.names
    table = np.full(256, VOID, np.uint8)
    for index, name in enumerate(source.classes):
        table[index] = own.index(names[name]) if name in names else NONE_OF_THESE
    return table[source.read_mask()]


def _without_complete(recipe, source, label, answer):
    """Where the labels show none of their classes, the teacher's answer has none of them."""
    if source.layout != "voc" or not recipe.complete:
        return answer
    none = _at_answers(label, answer) == NONE_OF_THESE
    gone = np.isin(recipe.label_set.names, recipe.complete)
    answer = np.where(none[..., None] & gone, 1e-4, answer)
    return answer / answer.sum(-1, keepdims=True)


def _at_answers(label: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """The labels where the answers are."""
    rows, cols = (
        np.rint(np.linspace(0, length - 1, count)).astype(int)
        for length, count in zip(label.shape, answer.shape, strict=False)
    )
    return label[np.ix_(rows, cols)]


def best_labels(sample: dict[str, np.ndarray]) -> np.ndarray:
    """True labels where they are known, elsewhere the teachers' first choice."""
    chosen = sample["answer"].argmax(-1)
    if not sample["label"].size:
        return chosen
    true = _at_answers(sample["label"], sample["answer"])
    return np.where(true < NONE_OF_THESE, true, chosen)


def _shrink(image: np.ndarray) -> np.ndarray:
    scale = IMAGE_SIDE / max(image.shape[:2])
    if scale >= 1:
        return image
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _chance(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16)


def held_out(name: str) -> bool:
    """Whether an image is held out for selection."""
    return _chance(name) // 7 % HELD_OUT == 0


def load_samples(cache: Path, *, selection: bool) -> Iterator[dict[str, np.ndarray]]:
    """The prepared images."""
    for path in sorted(cache.glob("*.npz")):
        if held_out(path.stem) == selection:
            with np.load(path) as data:
                yield {key: data[key] for key in data.files}


def class_shares(samples: list[dict[str, np.ndarray]], classes: int) -> np.ndarray:
    """What share of each image `(N, classes)` a class has; of labeled ones, the sum of both."""
    shares = np.zeros((len(samples), classes))
    for index, sample in enumerate(samples):
        winners, label = sample["answer"].argmax(-1), sample["label"]
        shares[index] = np.bincount(winners.ravel(), minlength=classes) / winners.size
        if label.size:
            known = label[label < NONE_OF_THESE]
            shares[index] += np.bincount(known, minlength=classes) / label.size
    return shares


def class_balance(shares: np.ndarray, power: float) -> np.ndarray:
    """Weight of each class's pixels, 1 for the most frequent: more where it is rare."""
    frequency = shares.mean(0) + 1e-3
    return (frequency.max() / frequency) ** power


def draw_weights(shares: np.ndarray, power: float) -> np.ndarray:
    """Chance of each image to be drawn: more where its classes are rare."""
    frequency = shares.mean(0) + 1e-4
    present = shares > 0.02
    weights = (present * frequency**-power).sum(1) + frequency.max() ** -power
    weights = np.minimum(weights, 6 * np.median(weights))
    return weights / weights.sum()


class Crops(keras.utils.PyDataset):
    """Batches of random crops: images `(B, S, S, 3) uint8`, goals `(B, s, s, classes + 1)`.

    The last channel of a goal is its weight: 0 outside the image, more where classes are rare.
    """

    def __init__(self, samples, weights, balance, recipe, stage, steps, *, seed):
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        self.samples, self.weights, self.balance, self.recipe = samples, weights, balance, recipe
        self.crop, self.batch, self.steps, self.seed = stage.crop, stage.batch, steps, seed

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        rng = np.random.default_rng([self.seed, index])
        picks = rng.choice(len(self.samples), self.batch, p=self.weights)
        images, goals = zip(*(self._one(self.samples[p], rng) for p in picks), strict=True)
        return np.stack(images), np.stack(goals)

    def _one(self, sample, rng):
        image, label = sample["image"], sample["label"]
        # output pixel i lies at offset + i / scale in the image
        scale = 2 ** rng.uniform(*np.log2(self.recipe.scales))
        seen = (self.crop - 1) / scale
        offset = [
            rng.uniform(min(0.0, side - 1 - seen), max(0.0, side - 1 - seen))
            for side in image.shape[:2]
        ]
        rows, cols = (offset[a] + np.arange(0, self.crop, STRIDE) / scale for a in (0, 1))
        image = cv2.warpAffine(
            cv2.blur(image, (2, 2)) if scale < 0.6 else image,
            np.array([[1 / scale, 0, offset[1]], [0, 1 / scale, offset[0]]]),
            (self.crop, self.crop),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderValue=(127, 127, 127),
        )
        goal = self._goal(sample["answer"], label, sample["image"].shape[:2], rows, cols)
        if rng.random() < 0.5:
            image, goal = image[:, ::-1], goal[:, ::-1]
        return _color_jitter(image, rng), goal

    def _goal(self, answer, label, size, rows, cols):
        """Teachers' probabilities mixed with true labels, and the weight."""
        steps = [(a - 1) / (length - 1) for a, length in zip(answer.shape, size, strict=False)]
        goal = np.empty((len(rows), len(cols), answer.shape[-1] + 1), np.float32)
        goal[..., :-1] = bilinear(answer.astype(np.float32), rows * steps[0], cols * steps[1])
        goal[..., :-1] /= goal[..., :-1].sum(-1, keepdims=True) + 1e-6
        at = [np.rint(axis).astype(int) for axis in (rows, cols)]
        inside = [(a >= 0) & (a < length) for a, length in zip(at, size, strict=True)]
        goal[..., -1] = np.outer(*inside)
        if label.size:
            at = [np.clip(a, 0, length - 1) for a, length in zip(at, size, strict=True)]
            true = label[np.ix_(*at)]
            known = true < NONE_OF_THESE
            goal[known, :-1] *= 1 - self.recipe.trust
            goal[known, true[known]] += self.recipe.trust
        goal[..., -1] *= goal[..., :-1] @ self.balance
        return goal


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
