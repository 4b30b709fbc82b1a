"""Contact sheets: rows of image tiles with titles, and a legend of their classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from easyseg.results.label_set import LabelSet

HEADER = ("image", "ground truth (hatched: ignored)", "prediction", "errors (red)")
GAP = 6
FONT_SIZE = 15
MAX_NAME = 40  # characters of a class name
PAPER, INK = (255, 255, 255), (30, 30, 30)
ERROR = np.array((150, 0, 30), np.uint8)  # added to a third of the pixel
OPACITY = 0.55  # of the class colors in an overlay


class Comparison(NamedTuple):
    """An image with its ground truth and its prediction: a row of a sheet.

    Attributes:
        title: Its name and metrics.
        image: `(H, W, 3) uint8 RGB`.
        mask: `(H, W)` class ids of the ground truth.
        predicted: `(H, W)` class ids.
    """

    title: str
    image: np.ndarray
    mask: np.ndarray
    predicted: np.ndarray


class Overlay(NamedTuple):
    """An image with a mask to lay over it: a tile of a sheet.

    Attributes:
        title: Its name.
        image: `(H, W, 3) uint8 RGB`.
        mask: `(H, W)` class ids.
    """

    title: str
    image: np.ndarray
    mask: np.ndarray


class _Row(NamedTuple):
    titles: Sequence[str]  # one for each tile, or one for all
    tiles: Sequence[np.ndarray]


def comparison_sheet(
    comparisons: Sequence[Comparison],
    label_set: LabelSet,
    *,
    width: int = 320,
    ignore_index: int = 255,
) -> np.ndarray:
    """A row for each image: the image, ground truth, prediction and errors.

    Args:
        comparisons: At least one.
        label_set: Names and colors of the class ids.
        width: Of a tile, in pixels.
        ignore_index: Id in the ground truth of ignored pixels, which are hatched.

    Returns:
        `(H, W, 3) uint8 RGB`.
    """
    rows = [_Row([c.title], _comparison(c, label_set, width, ignore_index)) for c in comparisons]
    ids = _ids_by_area([ids for c in comparisons for ids in (c.mask, c.predicted)], label_set)
    return _draw(rows, HEADER, label_set, ids, columns=len(HEADER), width=width)


def overlay_sheet(
    overlays: Sequence[Overlay],
    label_set: LabelSet,
    *,
    columns: int = 4,
    width: int = 320,
    ignore_index: int = 255,
) -> np.ndarray:
    """Images with their masks laid over them, `columns` in a row.

    The classes are drawn in their colors. The label set's void is left out; ignored pixels have
    stripes.

    Args:
        overlays: At least one.
        label_set: Names and colors of the class ids.
        columns: Tiles in a row.
        width: Of a tile, in pixels.
        ignore_index: Id of ignored pixels.

    Returns:
        `(H, W, 3) uint8 RGB`.
    """
    columns = min(columns, len(overlays))
    tiles = [_overlay(overlay, label_set, width, ignore_index) for overlay in overlays]
    titles = [overlay.title for overlay in overlays]
    rows = [
        _Row(titles[i : i + columns], tiles[i : i + columns]) for i in range(0, len(tiles), columns)
    ]
    ids = _ids_by_area([overlay.mask for overlay in overlays], label_set)
    header = (
        ("striped pixels are ignored",)
        if any((o.mask == ignore_index).any() for o in overlays)
        else ()
    )
    return _draw(rows, header, label_set, ids, columns=columns, width=width)


def _comparison(
    row: Comparison, label_set: LabelSet, width: int, ignore_index: int
) -> list[np.ndarray]:
    size = _tile_size(row.image, width)
    colors = label_set.colors
    ignored = row.mask == ignore_index
    gray = cv2.cvtColor(row.image, cv2.COLOR_RGB2GRAY) // 2 + 110
    errors = cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)
    wrong = (row.mask != row.predicted) & ~ignored
    errors[wrong] = errors[wrong] // 3 + ERROR
    image, mask, predicted, errors = (
        cv2.resize(tile, size, interpolation=cv2.INTER_AREA)
        for tile in (
            row.image,
            colors[np.minimum(row.mask, len(colors) - 1)],
            colors[np.minimum(row.predicted, len(colors) - 1)],
            errors,
        )
    )
    hidden = cv2.resize(ignored.view(np.uint8), size, interpolation=cv2.INTER_AREA) > 0
    for tile in (mask, errors):
        tile[hidden] = np.where(_stripes(size), 205, 235)[hidden, None]
    return [image, mask, predicted, errors]


def _overlay(row: Overlay, label_set: LabelSet, width: int, ignore_index: int) -> np.ndarray:
    size = _tile_size(row.image, width)
    interpolation = cv2.INTER_AREA if size[0] < row.image.shape[1] else cv2.INTER_LINEAR
    image = cv2.resize(row.image, size, interpolation=interpolation)
    ids = cv2.resize(row.mask, size, interpolation=cv2.INTER_NEAREST_EXACT)
    colors = label_set.colors[np.minimum(ids, len(label_set.colors) - 1)]
    tile = cv2.addWeighted(colors, OPACITY, image, 1 - OPACITY, 0)
    ignored = ids == ignore_index
    bare = ignored | (ids == label_set.void)
    tile[bare] = image[bare]
    tile[ignored & _stripes(size)] = PAPER
    edges = cv2.morphologyEx(ids, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0
    tile[edges & ~ignored] = colors[edges & ~ignored]
    return tile


def _tile_size(image: np.ndarray, width: int) -> tuple[int, int]:
    """`(width, height)` of a tile; very tall images are squeezed."""
    return width, int(np.clip(round(image.shape[0] * width / image.shape[1]), 8, 2 * width))


def _stripes(size: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[: size[1], : size[0]]
    return (x + y) % 8 < 4


def _draw(
    rows: Sequence[_Row],
    header: Sequence[str],
    label_set: LabelSet,
    ids: Sequence[int],
    *,
    columns: int,
    width: int,
) -> np.ndarray:
    """The only drawer of sheets: header, rows of titles and tiles, legend."""
    lefts = [GAP + i * (width + GAP) for i in range(columns)]
    full = lefts[-1] + width + GAP
    parts = [_text_line(list(zip(lefts, header, strict=False)), full)] if header else []
    for titles, tiles in rows:
        room = width if len(titles) > 1 else full - GAP
        texts = [(left, _shortened(t, room)) for left, t in zip(lefts, titles, strict=False)]
        parts.append(_text_line(texts, full))
        strip = np.full((max(map(len, tiles)) + GAP, full, 3), PAPER, np.uint8)
        for left, tile in zip(lefts, tiles, strict=False):
            strip[: len(tile), left : left + width] = tile
        parts.append(strip)
    return np.concatenate([*parts, *_legend(label_set, ids, full)])


def _ids_by_area(masks: Sequence[np.ndarray], label_set: LabelSet) -> list[int]:
    """Ids that occur, the largest area first."""
    areas = np.zeros(65536, np.int64)
    for mask in masks:
        areas += np.bincount(mask.ravel(), minlength=len(areas))
    ids = np.flatnonzero(areas[: len(label_set)]).tolist()
    return sorted(ids, key=lambda i: -areas[i])


def _legend(label_set: LabelSet, ids: Sequence[int], width: int) -> list[np.ndarray]:
    """Color and name of each class, in as many lines as it takes."""
    lines: list[list[tuple[int, int]]] = [[]]  # x and id
    x = GAP
    for i in ids:
        room = 2 * FONT_SIZE + round(_font().getlength(_name(label_set, i))) + 2 * GAP
        if x + room > width and lines[-1]:
            lines.append([])
            x = GAP
        lines[-1].append((x, i))
        x += room
    drawn = []
    for line in lines:
        texts = [(x + FONT_SIZE + GAP, _name(label_set, i)) for x, i in line]
        image = _text_line(texts, width)
        for x, i in line:
            corners = (x, 4), (x + FONT_SIZE, 4 + FONT_SIZE)
            cv2.rectangle(image, *corners, label_set.colors[i].tolist(), -1)
            cv2.rectangle(image, *corners, (120, 120, 120), 1)
        drawn.append(image)
    return drawn


def _text_line(texts: Sequence[tuple[int, str]], width: int) -> np.ndarray:
    """A line of texts, each at its x."""
    from PIL import Image, ImageDraw  # noqa: PLC0415

    image = Image.new("RGB", (width, round(1.6 * FONT_SIZE)), PAPER)
    draw = ImageDraw.Draw(image)
    for x, text in texts:
        draw.text((x, 3), " ".join(text.split()), fill=INK, font=_font())
    return np.array(image)


def _name(label_set: LabelSet, class_id: int) -> str:
    name = label_set.names[class_id]
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"


def _shortened(text: str, room: int) -> str:
    """The text, cut at the end to fit into `room` pixels."""
    while len(text) > 1 and _font().getlength(text) > room:
        text = f"{text[:-2]}…"
    return text


def _font() -> Any:
    from PIL import ImageFont  # noqa: PLC0415

    return ImageFont.load_default(FONT_SIZE)
