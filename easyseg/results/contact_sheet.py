"""Sheets of images: image, truth, what was found, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from easyseg.results.label_set import LabelSet

__all__ = ["COLUMNS", "Row", "sheet"]

COLUMNS = ("image", "truth (hatched: does not count)", "found", "errors (red)")
GAP = 6
FONT = 15
PAPER, INK = (255, 255, 255), (30, 30, 30)
WRONG = np.array((150, 0, 30), np.uint8)  # over a third of the image


class Row(NamedTuple):
    """One image of a sheet.

    Attributes:
        caption: Its name and figures.
        image: `(H, W, 3) uint8 RGB`.
        truth: `(H, W)` ids; `ignore_index` is hatched.
        found: `(H, W)` ids.
    """

    caption: str
    image: np.ndarray
    truth: np.ndarray
    found: np.ndarray


def sheet(
    rows: Sequence[Row], label_set: LabelSet, *, width: int = 320, ignore_index: int = 255
) -> np.ndarray:
    """Draws images below one another, and below them a legend of the classes that they show.

    Args:
        rows: At least one.
        label_set: Names and colors of the ids.
        width: Of an image, in pixels.
        ignore_index: Id in the truth whose pixels do not count.

    Returns:
        `(H, 4 width + gaps, 3) uint8 RGB`.
    """
    full = len(COLUMNS) * (width + GAP) + GAP
    parts = [_texts([(GAP + i * (width + GAP), name) for i, name in enumerate(COLUMNS)], full)]
    for row in rows:
        parts.append(_texts([(GAP, row.caption)], full))
        strip = np.full((_height(row, width) + GAP, full, 3), PAPER, np.uint8)
        for i, tile in enumerate(_tiles(row, label_set, width, ignore_index)):
            left = GAP + i * (width + GAP)
            strip[: len(tile), left : left + width] = tile
        parts.append(strip)
    return np.concatenate([*parts, _legend(rows, label_set, full)])


def _height(row: Row, width: int) -> int:
    height, own_width = row.image.shape[:2]
    return int(np.clip(round(height * width / own_width), 8, 2 * width))


def _tiles(row: Row, label_set: LabelSet, width: int, ignore_index: int) -> list[np.ndarray]:
    size = (width, _height(row, width))

    def shrink(image: np.ndarray) -> np.ndarray:
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)

    ignored = row.truth == ignore_index
    y, x = np.mgrid[: size[1], : size[0]]
    hatch = np.where((x + y) % 8 < 4, 205, 235).astype(np.uint8)[..., None].repeat(3, 2)
    hidden = shrink(ignored.view(np.uint8)) > 0
    colors = label_set.colors
    truth = shrink(colors[np.minimum(row.truth, len(colors) - 1)])
    found = shrink(colors[np.minimum(row.found, len(colors) - 1)])
    gray = cv2.cvtColor(row.image, cv2.COLOR_RGB2GRAY) // 2 + 110
    errors = cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)
    wrong = (row.truth != row.found) & ~ignored
    errors[wrong] = errors[wrong] // 3 + WRONG
    errors = shrink(errors)
    truth[hidden], errors[hidden] = hatch[hidden], hatch[hidden]
    return [shrink(row.image), truth, found, errors]


def _legend(rows: Sequence[Row], label_set: LabelSet, width: int) -> np.ndarray:
    """Color and name of the classes, the largest area first, in as many lines as it takes."""
    areas = np.zeros(65536, np.int64)
    for row in rows:
        for labels in (row.truth, row.found):
            areas += np.bincount(labels.ravel(), minlength=65536)
    ids = sorted(np.flatnonzero(areas[: len(label_set)]).tolist(), key=lambda i: -areas[i])
    font = _font()
    lines: list[list[tuple[int, int]]] = [[]]  # (x, id) of each line
    x = GAP
    for i in ids:
        room = 2 * FONT + round(font.getlength(_short(label_set.names[i]))) + 2 * GAP
        if x + room > width and lines[-1]:
            lines.append([])
            x = GAP
        lines[-1].append((x, i))
        x += room
    parts = []
    for line in lines:
        texts = [(x + FONT + GAP, _short(label_set.names[i])) for x, i in line]
        part = _texts(texts, width)
        for x, i in line:
            cv2.rectangle(part, (x, 4), (x + FONT, 4 + FONT), label_set.colors[i].tolist(), -1)
            cv2.rectangle(part, (x, 4), (x + FONT, 4 + FONT), (120, 120, 120), 1)
        parts.append(part)
    return np.concatenate(parts)


def _texts(texts: Sequence[tuple[int, str]], width: int) -> np.ndarray:
    """A line of texts, each at its x."""
    from PIL import Image, ImageDraw  # noqa: PLC0415

    image = Image.new("RGB", (width, round(1.6 * FONT)), PAPER)
    draw = ImageDraw.Draw(image)
    for x, text in texts:
        draw.text((x, 3), " ".join(text.split()), fill=INK, font=_font())
    return np.array(image)


def _short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:39]}…"


def _font() -> Any:
    from PIL import ImageFont  # noqa: PLC0415

    return ImageFont.load_default(FONT)
