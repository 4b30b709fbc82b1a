"""An image sheet: samples of a data set with their truth laid over them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from easyseg.datasets.base import IGNORE, Dataset, Sample
from easyseg.errors import DatasetError, EasysegError

__all__ = ["draw_sheet"]

CELL = 320  # pixels, each side
BAR = 22  # pixels of a title
INK, PAPER = (32, 32, 32), 255
STRENGTH = 0.55


def draw_sheet(dataset: Dataset, *, count: int = 12, columns: int = 4) -> np.ndarray:
    """`(H, W, 3) uint8 RGB`: samples from all splits, spread evenly, and a legend below.

    Each cell shows the image with the classes in their colors and outlines; background stays as
    it is, pixels that do not count are striped.

    Raises:
        DatasetError: No sample can be read.
    """
    chosen = _spread(dataset, count)
    cells, shown = [], set()
    for split, sample in chosen:
        try:
            image = sample.read_image()
            truth = sample.read_mask(image.shape[:2])
        except EasysegError:  # the report names it
            continue
        shown.update(np.unique(truth).tolist())
        cells.append(_cell(dataset, image, truth, f"{split}: {sample.name}"))
    if not cells:
        raise DatasetError(f"data set {dataset.name!r} has no sample that can be read.")
    columns = min(columns, len(cells))
    blank = np.full_like(cells[0], PAPER)
    cells += [blank] * (-len(cells) % columns)
    rows = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    legend = _legend(dataset, sorted(shown - {IGNORE}), IGNORE in shown, columns * CELL)
    return np.vstack([*rows, legend])


def _spread(dataset: Dataset, count: int) -> list[tuple[str, Sample]]:
    """`count` samples: two of each split, and of the largest one what is left."""
    sizes = {split: len(samples) for split, samples in dataset.splits.items()}
    shares = {split: min(2, size) for split, size in sizes.items()}
    largest = max(sizes, key=lambda split: sizes[split], default="")
    if largest:
        left = count - sum(shares.values())
        shares[largest] = min(sizes[largest], shares[largest] + max(0, left))
    return [
        (split, dataset.splits[split][i])
        for split, here in shares.items()
        for i in np.linspace(0, sizes[split] - 1, here).round().astype(int).tolist()
    ]


def _cell(dataset: Dataset, image: np.ndarray, truth: np.ndarray, title: str) -> np.ndarray:
    scale = CELL / max(truth.shape)
    size = (max(1, round(truth.shape[1] * scale)), max(1, round(truth.shape[0] * scale)))
    shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, size, interpolation=shrink)
    ids = cv2.resize(truth, size, interpolation=cv2.INTER_NEAREST_EXACT)
    colors = dataset.label_set.colors[ids]
    mixed = cv2.addWeighted(colors, STRENGTH, small, 1 - STRENGTH, 0)
    mixed = np.where((ids == dataset.label_set.void)[..., None], small, mixed)
    y, x = np.indices(ids.shape)
    mixed[(ids == IGNORE) & ((x + y) % 8 < 2)] = PAPER
    edges = cv2.morphologyEx(ids, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0
    mixed[edges] = np.where((ids == IGNORE)[..., None], PAPER, colors)[edges]
    cell = np.full((CELL + BAR, CELL, 3), PAPER, np.uint8)
    top, left = BAR + (CELL - size[1]) // 2, (CELL - size[0]) // 2
    cell[top : top + size[1], left : left + size[0]] = mixed
    return _write(cell, [(4, 3, title[:44])])


def _legend(dataset: Dataset, ids: Sequence[int], ignored: bool, width: int) -> np.ndarray:
    names = [(dataset.label_set.names[i], dataset.label_set.palette[i]) for i in ids]
    names += [("does not count", (PAPER,) * 3)] if ignored else []
    across = max(1, width // 160)
    out = np.full((BAR * (-(-len(names) // across)) + 8, width, 3), PAPER, np.uint8)
    texts = []
    for number, (name, color) in enumerate(names):
        x, y = 160 * (number % across), 4 + BAR * (number // across)
        cv2.rectangle(out, (x + 4, y + 3), (x + 18, y + 17), color, -1)
        cv2.rectangle(out, (x + 4, y + 3), (x + 18, y + 17), INK, 1)
        texts.append((x + 24, y + 2, name[:20]))
    return _write(out, texts)


def _write(image: np.ndarray, texts: Sequence[tuple[int, int, str]]) -> np.ndarray:
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415

    canvas = Image.fromarray(image)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    for x, y, text in texts:
        draw.text((x, y), text, fill=INK, font=font)
    return np.array(canvas)
