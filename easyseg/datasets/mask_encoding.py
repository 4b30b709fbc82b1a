"""Infers what the values in mask files stand for: ids, black and white, palette or colors."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from easyseg.datasets.base import IGNORE
from easyseg.datasets.class_names import BACKGROUND, Class, Color, clean, first_spellings, is_void
from easyseg.datasets.mask_files import NEAR, MaskEncoding, is_jpeg, pack, read_values
from easyseg.errors import DatasetError, show_path
from easyseg.io.open_image import open_image

__all__ = ["InferredClasses", "infer_encoding"]

THREADS = 4
MAX_CLASSES = 255  # 255 itself is for ignored pixels
MAX_VALUES = 200  # of gray masks; photographs have more
MANY = 32  # values; masks of ids seldom have more, smoothed ones always
RARE = 0.001  # fraction of the pixels below which a color is that of smoothed edges
COVERED = 0.98  # fraction of the pixels that the other colors must cover


class InferredClasses(NamedTuple):
    """How masks are decoded, and their classes.

    Attributes:
        encoding: Classes by value.
        names: Of each class.
        colors: Of each class, where the masks have some.
        notes: What was assumed.
    """

    encoding: MaskEncoding
    names: list[str]
    colors: list[Color | None]
    notes: list[str]


@dataclasses.dataclass
class _MaskStats:
    """What all masks together hold."""

    values: Counter[int] = dataclasses.field(default_factory=Counter)
    colors: Counter[int] = dataclasses.field(default_factory=Counter)
    palette: dict[int, int] = dataclasses.field(default_factory=dict)
    palettes_differ: bool = False
    rgb: int = 0  # masks that are stored as RGB
    colored: int = 0  # of these, those that are not gray
    count: int = 0
    example: Path | None = None


def infer_encoding(
    paths: Sequence[Path], classes: Sequence[Class], *, ignore: Sequence[int] = ()
) -> InferredClasses:
    """Reads masks and infers what their values stand for.

    If the classes are known, some of the masks suffice; otherwise all are read.

    Args:
        paths: The masks.
        classes: The classes, as far as they are known; without values, the first is 0.
        ignore: Values that are ignored; names go to the other values in order.

    Raises:
        DatasetError: No mask can be read, or they look like photographs.
    """
    stats = _read_all(paths[:: max(1, len(paths) // 16)] if classes else paths)
    listed = {_packed(c.color) for c in classes if c.color}
    if _is_colors(stats, listed):
        return _infer_colors(stats, classes)
    return _infer_gray(stats, list(classes), list(ignore))


def _read_all(paths: Sequence[Path]) -> _MaskStats:
    total, first_error = _MaskStats(), None
    with ThreadPoolExecutor(THREADS) as pool:
        for path, result in zip(paths, pool.map(_read_one, paths), strict=True):
            if isinstance(result, DatasetError):
                first_error = first_error or result
                continue
            values, colors, palette, is_rgb = result
            total.count += 1
            total.example = total.example or path
            total.rgb += is_rgb
            total.colored += is_rgb and not values
            total.values.update(values)
            total.colors.update(colors)
            total.palettes_differ |= any(total.palette.get(i, c) != c for i, c in palette.items())
            total.palette.update(palette)
    if not total.count:
        raise first_error or DatasetError("there are no masks; add them beside the images.")
    return total


def _read_one(
    path: Path,
) -> tuple[dict[int, int], dict[int, int], dict[int, int], bool] | DatasetError:
    """Pixels by value and by color, colors of palette indices, and whether the file is RGB."""
    try:
        values = read_values(path)
        if values.ndim == 3:
            colors = _count(pack(values))
            gray = all((c >> 16) == (c & 255) == (c >> 8 & 255) for c in colors)
            return ({c & 255: n for c, n in colors.items()} if gray else {}), colors, {}, True
        counts = _count(values)
        palette = _palette(path)
        return (
            counts,
            {palette.get(v, v * 0x10101): n for v, n in counts.items()},
            {v: palette[v] for v in counts if v in palette},
            False,
        )
    except DatasetError as error:
        return error


def _count(values: np.ndarray) -> dict[int, int]:
    if values.dtype == np.uint8:
        counts = np.bincount(values.ravel(), minlength=256)
        return {i: int(counts[i]) for i in np.flatnonzero(counts).tolist()}
    unique, numbers = np.unique(values, return_counts=True)
    return dict(zip(unique.tolist(), numbers.tolist(), strict=True))


def _palette(path: Path) -> dict[int, int]:
    with open_image(path, show_path(path)) as image:
        flat = image.getpalette("RGB") if image.mode == "P" else None
    colors = zip(*[iter(flat or [])] * 3, strict=False)
    return {i: _packed(color) for i, color in enumerate(colors)}


def _is_colors(stats: _MaskStats, listed: set[int]) -> bool:
    if stats.palettes_differ:
        return True
    if stats.palette and listed:
        return set(stats.palette.values()) <= listed and len(stats.palette) > 1
    return stats.colored > 0 and 2 * stats.rgb >= stats.count


def _infer_colors(stats: _MaskStats, classes: Sequence[Class]) -> InferredClasses:
    if classes and all(c.color for c in classes):
        return _by_value(classes, [_packed(c.color) for c in classes], "colors", [])
    size, count = stats.colors.total(), len(stats.colors)
    common = {c for c, n in stats.colors.items() if n >= RARE * size or count <= MANY}
    if len(common) > MAX_CLASSES or sum(stats.colors[c] for c in common) < COVERED * size:
        raise DatasetError(
            f"the masks ({stats.example} and others) have {count} colors: they look like "
            "photographs, or were saved as JPEG; save them as PNG, or list the colors in "
            "class_dict.csv (name,r,g,b)."
        )
    ordered = sorted(common)
    if classes and len(classes) != len(ordered):
        raise DatasetError(
            f"the masks have {len(ordered)} colors ({', '.join(map(_hex, ordered[:12]))}), but "
            f"{len(classes)} classes are named; list names and colors in class_dict.csv."
        )
    names = [c.name for c in classes] or [BACKGROUND if c == 0 else _hex(c) for c in ordered]
    colored = [Class(n, _rgb(c)) for n, c in zip(names, ordered, strict=True)]
    shown = ", ".join(f"{c.name} = {_hex(v)}" for c, v in zip(colored[:12], ordered, strict=False))
    more = ", …" if len(colored) > 12 else ""
    notes = [f"No file names the colors of the masks: each color is a class ({shown}{more})."]
    if count > len(common):
        notes.append(f"{count - len(common)} rare colors, as at smoothed edges, are ignored.")
    return _by_value(colored, ordered, "colors", notes)


def _infer_gray(stats: _MaskStats, classes: list[Class], ignore: list[int]) -> InferredClasses:
    if _is_binary(stats, classes, ignore):
        return _infer_binary(stats, classes)
    if stats.example is not None and is_jpeg(stats.example):
        raise DatasetError(
            f"{stats.example} is a JPEG, which changes ids at every edge; save masks as PNG (from "
            "the originals: what JPEG has changed cannot be restored)."
        )
    ids = [i for i in range(len(classes) + len(ignore) + 1) if i not in ignore]
    notes: list[str] = []
    if not classes:
        ids, notes = _unnamed_ids(stats, ignore)
        classes = [Class(f"class {i}") for i in ids] or [Class(BACKGROUND)]
        if ids in ([0, 1], [0]):
            classes = [Class(BACKGROUND), Class("foreground")][: len(ids)]
        notes.append(f"No file names the classes; they are called {classes[0].name!r} and so on.")
    values = [
        c.value if c.value is not None else i for c, i in zip(classes, ids or [0], strict=False)
    ]
    result = _by_value(classes, values, "ids", notes)
    result.encoding.classes.update(dict.fromkeys(ignore, IGNORE))
    result.encoding.classes.setdefault(IGNORE, IGNORE)
    colored = [
        c
        if c.color or v not in stats.palette
        else dataclasses.replace(c, color=_rgb(stats.palette[v]))
        for c, v in zip(classes, values, strict=True)
    ]
    colors = _by_value(colored, values, "ids", []).colors
    distinct = len({c for c in colors if c}) == len(colors)
    return result._replace(colors=colors) if distinct else result


def _infer_binary(stats: _MaskStats, classes: list[Class]) -> InferredClasses:
    if len(classes) == 1:
        classes = [Class(BACKGROUND), *classes]
    classes = classes or [Class(BACKGROUND), Class("foreground")]
    classes = [dataclasses.replace(c, value=None) for c in classes]
    grays = "; grays become the nearer of both" if len(stats.values) > 2 else ""
    note = f"Black and white masks: 0 is {classes[0].name!r}, 255 is {classes[1].name!r}{grays}."
    return _by_value(classes, [0, 255], "binary", [note])


def _unnamed_ids(stats: _MaskStats, ignore: list[int]) -> tuple[list[int], list[str]]:
    """Ids of the classes of masks that no file describes, and notes."""
    values = set(stats.values) - {IGNORE} - set(ignore)
    if len(values) > MAX_VALUES:
        raise DatasetError(
            f"the masks ({stats.example} and others) have {len(values)} different values: they "
            "look like photographs, or were saved as JPEG; save class ids as PNG."
        )
    ids = sorted(values)
    if not ids:
        return [], []
    if 2 * len(ids) >= max(ids) + 1:  # most ids occur
        return [i for i in range(max(ids) + 1) if i not in ignore], []
    shown = ", ".join(map(str, ids[:20]))
    return ids, [f"The values {shown} of the masks are classes 0 to {len(ids) - 1}, in order."]


def _is_binary(stats: _MaskStats, classes: list[Class], ignore: list[int]) -> bool:
    """Only 0 and 255; or nearly only, with grays between, as smoothing and JPEG leave them."""
    if len(classes) > 2 or 255 not in stats.values or 255 in ignore or max(stats.values) > 255:
        return False
    if len(classes) == 2 and any(c.value not in (None, 0, 255) for c in classes):
        return False
    if set(stats.values) <= {0, 255}:
        return True
    size = stats.values.total()
    outer = sum(n for v, n in stats.values.items() if v <= 2 or v >= 253)
    near = sum(n for v, n in stats.values.items() if v < NEAR or v >= 256 - NEAR)
    return len(stats.values) > MANY and outer >= 0.85 * size and near >= 0.95 * size


def _by_value(
    classes: Sequence[Class], values: Sequence[int], kind: str, notes: list[str]
) -> InferredClasses:
    """The classes in their order, without those named "void", whose pixels are ignored."""
    labeled = [c for c in classes if not is_void(c.name)] or list(classes)
    if len(labeled) < len(classes):
        voids = ", ".join(repr(c.name) for c in classes if c not in labeled)
        notes = [*notes, f"Pixels of {voids} are ignored."]
    if len(labeled) > MAX_CLASSES:
        raise DatasetError(
            f"{len(labeled)} classes are too many; keep at most {MAX_CLASSES} of them."
        )
    names, merged = first_spellings(clean(c.name, i) for i, c in enumerate(labeled))
    ids = {name: i for i, name in enumerate(dict.fromkeys(names))}
    of_class = {id(c): ids[name] for c, name in zip(labeled, names, strict=True)}
    by_value = {v: of_class.get(id(c), IGNORE) for c, v in zip(classes, values, strict=True)}
    colors: list[Color | None] = [labeled[names.index(name)].color for name in ids]
    return InferredClasses(MaskEncoding(kind, by_value), list(ids), colors, [*notes, *merged])


def _packed(color: Color | tuple[int, ...] | None) -> int:
    r, g, b = color or (0, 0, 0)
    return r << 16 | g << 8 | b


def _rgb(packed: int) -> Color:
    return packed >> 16, packed >> 8 & 255, packed & 255


def _hex(packed: int) -> str:
    return f"#{packed:06x}"
