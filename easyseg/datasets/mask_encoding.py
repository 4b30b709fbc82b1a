"""Infers what the values in mask files stand for: ids, black and white, palette or colors."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from easyseg.datasets.base import IGNORE
from easyseg.datasets.class_names import (
    BACKGROUND,
    FOREGROUND,
    Class,
    Color,
    clean,
    first_spellings,
    is_void,
)
from easyseg.datasets.mask_files import MaskEncoding
from easyseg.datasets.mask_stats import MaskStats, is_gray_color, read_masks
from easyseg.datasets.soft_edges import MANY, NEAR, mixed_colors
from easyseg.errors import DatasetError

SAMPLE = 16  # masks that are read where classes are named
MAX_CLASSES = 255  # 255 itself is for ignored pixels
MAX_VALUES = 200  # of gray masks; photographs have more
LEVELS = 18  # evenly spread gray levels, at most; more of them are ids
RARE = 0.001  # fraction of the pixels below which a color is that of smoothed edges
COVERED = 0.98  # fraction of the pixels that the other colors must cover
UNEXPLAINED = 0.1  # fraction of a set's gray pixels that soft edges need not explain
NOISY = 0.02  # the same of all pixels of masks that were compressed with loss


class InferredClasses(NamedTuple):
    """How masks are decoded, and their classes.

    Attributes:
        encoding: Classes by value.
        names: Of each class.
        colors: Of each class, where the masks have some.
        notes: What was assumed.
        warnings: What may be meant otherwise, and how to decide.
    """

    encoding: MaskEncoding
    names: list[str]
    colors: list[Color | None]
    notes: list[str]
    warnings: tuple[str, ...] = ()


def infer_encoding(
    paths: Sequence[Path],
    classes: Sequence[Class],
    *,
    ignore: Sequence[int] = (),
    max_pixels: int | None = None,
) -> InferredClasses:
    """Reads masks and infers what their values stand for.

    Some of the masks suffice if more than two classes are known, and their colors too, or the
    masks hold their ids. Otherwise all are read: each may have a coding that no other has.

    Args:
        paths: The masks.
        classes: The classes, as far as they are known; without values, the first is 0.
        ignore: Values that are ignored; names go to the other values in order.
        max_pixels: As in `read_values`.

    Raises:
        DatasetError: No mask can be read, or they look like photographs.
    """
    sample = paths[:: max(1, len(paths) // SAMPLE)] if len(classes) > 2 else paths
    stats = read_masks(sample, max_pixels=max_pixels)
    told = all(c.color for c in classes) or _are_ids(stats, classes, ignore)
    if len(sample) < len(paths) and not told:
        stats = read_masks(paths, max_pixels=max_pixels)
    if _is_black_and_white(stats, classes, ignore):
        return _infer_binary(stats, list(classes))
    listed = {_packed(c.color) for c in classes if c.color}
    if _is_colors(stats, listed):
        return _infer_colors(stats, classes)
    return _infer_gray(stats, list(classes), list(ignore))


def _are_ids(stats: MaskStats, classes: Sequence[Class], ignore: Sequence[int]) -> bool:
    """Whether the masks hold ids of the classes, and ignored values, alone."""
    values = {c.value for c in classes} | {*range(len(classes) + len(ignore)), *ignore, IGNORE}
    return not stats.colored and set(stats.values) <= values


def _is_black_and_white(stats: MaskStats, classes: Sequence[Class], ignore: Sequence[int]) -> bool:
    """Whether 0 and 255 are the only values but for soft edges, and for masks of 0 and 1.

    Single photographs among the masks are left to the decoder, which names them.
    """
    shades = _shades(classes)
    if ignore or len(classes) > 2 or -1 in shades or len(set(shades)) < len(classes):
        return False
    has_colors = stats.mostly_rgb and any(m.grays is None and m.is_rgb for m in stats.masks)
    if has_colors or not all(map(is_gray_color, stats.palette.values())):
        return False
    masks = [m for m in stats.masks if m.grays is not None and not m.is_mostly_gray]
    white = [m for m in masks if max(m.shades, default=0) >= 256 - NEAR]
    if any(m.is_low for m in masks):  # a mask that is 255 everywhere is ignored rather than white
        white = [m for m in white if len(m.shades) > 1]
    if not white or 2 * len(masks) <= len(stats.masks):
        return False
    odd = [m for m in masks if not m.is_plain and not m.is_low]
    few = NOISY * stats.colors[0xFFFFFF]
    pixels, gray, middle, ids, lossy_ids = (
        sum(counts) for counts in zip(*(m.grays for m in odd if m.grays), strict=True)
    ) if odd else (0,) * 5  # fmt: skip
    if 2 * sum(m.is_lossy for m in odd) >= len(odd):
        return lossy_ids <= NOISY * pixels
    return ids <= UNEXPLAINED * gray and (middle >= UNEXPLAINED * gray or gray <= few)


def _shades(classes: Sequence[Class]) -> list[int]:
    """The value of each of two classes in black and white masks; `-1` for values that are not."""
    if all(c.value is not None for c in classes):
        return [{0: 0, 1: 255, 255: 255}.get(c.value or 0, -1) for c in classes]
    blacks = [c.color == (0, 0, 0) for c in classes]
    return [255, 0] if blacks == [False, True] else [0, 255, -1][: len(classes)]


def _is_colors(stats: MaskStats, listed: set[int]) -> bool:
    if stats.palettes_differ:
        return True
    if listed and len(stats.colors) > 1 and set(stats.colors) <= listed:
        return True
    return stats.colored > 0 and stats.mostly_rgb


def _infer_colors(stats: MaskStats, classes: Sequence[Class]) -> InferredClasses:
    if classes and all(c.color for c in classes):
        return _by_value(classes, [_packed(c.color) for c in classes], "colors", [])
    edges = _edge_colors(stats)
    size, count = stats.colors.total(), len(stats.colors) - len(edges)
    rest = {c: n for c, n in stats.colors.items() if c not in edges}
    few = {c for c in rest if not edges or stats.is_area(c)} if count <= MANY else set()
    common = {c for c, n in rest.items() if n >= RARE * size} | few
    if (
        len(common) > MAX_CLASSES
        or sum(stats.colors[c] for c in {*common, *edges}) < COVERED * size
    ):
        raise DatasetError(
            f"the masks ({stats.masks[0].path} and others) have {len(stats.colors)} colors: they "
            "look like photographs, or were saved as JPEG; save them as PNG, or list the colors in "
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
    if edges:
        notes.append(f"{len(edges)} mixed colors of soft edges become the nearer of both.")
    result = _by_value(colored, ordered, "colors", notes)
    known = result.encoding.classes
    known.update({edge: known[color] for edge, color in edges.items() if color in known})
    return result


def _edge_colors(stats: MaskStats) -> dict[int, int]:
    """Colors that occur only between two others, as shrinking and smoothing leave them.

    Returns:
        For each the nearer of the two.
    """
    plain = sorted(c for c in stats.colors if stats.is_area(c))
    return mixed_colors(stats.colors.keys() - set(plain), plain)


def _infer_gray(stats: MaskStats, classes: list[Class], ignore: list[int]) -> InferredClasses:
    jpeg = next((m.path for m in stats.masks if m.is_jpeg and len(m.shades) > 1), None)
    if jpeg is not None:
        raise DatasetError(
            f"{jpeg} is a JPEG, which changes ids at every edge; save masks as PNG (from "
            "the originals: what JPEG has changed cannot be restored)."
        )
    edges = _edge_levels(stats, ignore)
    levels = set(stats.values) - set(ignore) - edges.keys()
    is_named = bool(classes)
    if len(classes) == 1 and classes[0].value is None and len(levels - {IGNORE}) > 1:
        classes = [Class(BACKGROUND), *classes]
    classes, values, notes = _assign_values(stats, levels, classes, ignore)
    if edges:
        notes.append(f"{len(edges)} grays of soft edges become the nearer of both levels.")
    result = _by_value(classes, values, "ids", notes)
    known = result.encoding.classes
    known.update(dict.fromkeys(ignore, IGNORE))
    known.setdefault(IGNORE, IGNORE)
    known.update({edge: known[level] for edge, level in edges.items() if level in known})
    colored = [
        c
        if c.color or v not in stats.palette
        else dataclasses.replace(c, color=_rgb(stats.palette[v]))
        for c, v in zip(classes, values, strict=True)
    ]
    colors = _by_value(colored, values, "ids", []).colors
    distinct = len({c for c in colors if c}) == len(colors)
    result = result._replace(colors=colors) if distinct else result
    return result if is_named else result._replace(warnings=tuple(_doubts(stats, result, values)))


def _doubts(stats: MaskStats, result: InferredClasses, values: Sequence[int]) -> list[str]:
    """Warnings of values that may be no classes, where no names say that they are."""
    shown = ", ".join(map(str, values[:20]))
    if result.encoding.classes[IGNORE] != IGNORE:
        what = f"Each of the values {shown} is a class; if {IGNORE} is for ignored pixels"
        return [f"{what}, choose ignore=[{IGNORE}]."]
    thin = [v for v in values if not stats.is_area(stats.palette.get(v, v * 0x10101))]
    if not thin or max(values) < 2 * len(values):
        return []
    what = f"Some of the values {shown} occur at edges only, such as {thin[0]}"
    return [f"{what}; if the masks were resized, do it to the nearest pixel, from the originals."]


def _edge_levels(stats: MaskStats, ignore: list[int]) -> dict[int, int]:
    """The level that is nearer to each gray of soft edges between evenly spread levels."""
    values = set(stats.values) - set(ignore)
    if stats.palette or _is_level(values) or max(values, default=0) > IGNORE:
        return {}
    edges = {e & 255: level & 255 for e, level in _edge_colors(stats).items()}
    levels = values - edges.keys()
    return edges if len(levels) > 2 and _is_level(levels) else {}


def _assign_values(
    stats: MaskStats, levels: set[int], classes: list[Class], ignore: list[int]
) -> tuple[list[Class], list[int], list[str]]:
    """The classes, their values, and notes.

    Without names, values that occur are classes; with names, these are for the ids from 0, or
    for the values that occur, if those are as many and no ids.
    """
    ids = [i for i in range(len(classes) + len(ignore)) if i not in ignore]
    notes: list[str] = []
    if classes and levels <= {*ids, IGNORE} and levels != {0, IGNORE}:
        in_order = ids
    else:
        in_order, notes = _values_in_order(stats, levels, ignore)
    if not classes:
        classes = [Class(f"class {i}") for i in in_order] or [Class(BACKGROUND)]
        if in_order == [0] or (len(in_order) == 2 and in_order[0] == 0):
            classes = [Class(BACKGROUND), Class(FOREGROUND)][: len(in_order)]
        notes.append(f"No file names the classes; they are called {classes[0].name!r} and so on.")
        return classes, in_order or [0], notes
    if len(in_order) != len(classes) or in_order == list(range(len(in_order))):
        in_order, notes = ids, []
    values = [
        c.value if c.value is not None else i for c, i in zip(classes, in_order, strict=False)
    ]
    return classes, values, notes


def _infer_binary(stats: MaskStats, classes: list[Class]) -> InferredClasses:
    if len(classes) == 1:
        classes = [Class(BACKGROUND), *classes]
    classes = classes or [Class(BACKGROUND), Class(FOREGROUND)]
    shades = _shades(classes)
    black, white = (classes[shades.index(shade)].name for shade in (0, 255))
    masks = [m for m in stats.masks if m.grays is not None]
    is_soft = any(m.is_lossy and not m.is_jpeg for m in masks)  # where all of 1 can be black
    low = [m for m in masks if m.is_low]
    if is_soft and not any(len(m.shades) == 2 for m in low):
        low = []
    grays = "; grays become the nearer of both" * any(
        not m.is_plain and not m.is_low for m in masks
    )
    notes = [f"Black and white masks: 0 is {black!r}, 255 is {white!r}{grays}."]
    if low:
        notes.append(
            f"Masks of 0 and 1 alone, in which 1 is {white!r}: {len(low)}, such as {low[0].path}. "
            f"If 255 is for ignored pixels in the others, choose ignore=[{IGNORE}]."
        )
    result = _by_value(classes, shades, "binary", notes)
    if low:
        result.encoding.classes[1] = result.encoding.classes[255]
    whites = sum(n for color, n in stats.colors.items() if color & 255 >= 128)
    if whites <= stats.colors.total() / 2:
        return result
    warning = (
        f"{whites / stats.colors.total():.0%} of the pixels are white; if the objects are the "
        f"black ones, choose classes=[{white!r}, {black!r}]."
    )
    return result._replace(warnings=(warning,))


def _values_in_order(
    stats: MaskStats, levels: set[int], ignore: list[int]
) -> tuple[list[int], list[str]]:
    """Values of the classes of masks whose values no file describes, and notes."""
    white_is_class = _is_level(levels)
    ids = sorted(levels if white_is_class else levels - {IGNORE})
    if len(ids) > MAX_VALUES:
        raise DatasetError(
            f"the masks ({stats.masks[0].path} and others) have {len(ids)} different values: they "
            "look like photographs, or were saved as JPEG; save class ids as PNG."
        )
    if not ids:
        return [], []
    notes = []
    if IGNORE in levels and not white_is_class:
        cure = "write the values and names of all classes into _classes.csv, below the line"
        what = f"Value {IGNORE} of the masks is ignored; if it is a class"
        notes = [f"{what}, {cure} `Pixel Value,Class`."]
    if 2 * len(ids) >= max(ids) + 1 and not white_is_class:  # most ids occur
        return [i for i in range(max(ids) + 1) if i not in ignore], notes
    shown = ", ".join(map(str, ids[:20]))
    order = f"The values {shown} of the masks are classes 0 to {len(ids) - 1}, in order."
    return ids, [order, *notes]


def _is_level(values: set[int]) -> bool:
    """Whether 255 is the lightest of two gray levels, or of some that are evenly spread."""
    last = len(values) - 1
    if IGNORE not in values or max(values) > IGNORE:
        return False
    even = (abs(v - 255 * i / last) <= 2 for i, v in enumerate(sorted(values)) if last)
    return 0 < last < LEVELS and (last == 1 or all(even))


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
