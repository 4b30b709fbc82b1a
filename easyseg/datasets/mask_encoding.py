"""What the values in mask files mean: ids, black and white, palette or colors."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from easyseg.datasets.base import IGNORE
from easyseg.datasets.class_names import BACKGROUND, Class, Color, is_void
from easyseg.datasets.mask_files import NEAR, MaskEncoding, is_jpeg, pack, read_values
from easyseg.errors import DatasetError

__all__ = ["Classes", "infer_encoding"]

THREADS = 4
MOST_CLASSES = 255  # 255 itself is for what does not count
MOST_VALUES = 200  # of gray masks; photographs have more
MANY = 32  # values of which a mask of ids seldom has more, and a smoothed one always
RARE = 0.001  # share below which a color is an edge that was smoothed
COVERED = 0.98  # share that the other colors must reach


class Classes(NamedTuple):
    """How the masks are read, and what the classes are called.

    Attributes:
        coding: Classes by value.
        names: Of each class.
        colors: Of each class, where the masks have some.
        notes: What was assumed.
    """

    coding: MaskEncoding
    names: list[str]
    colors: list[Color | None]
    notes: list[str]


@dataclasses.dataclass
class _Survey:
    """What all masks together hold."""

    values: Counter[int] = dataclasses.field(default_factory=Counter)
    colors: Counter[int] = dataclasses.field(default_factory=Counter)
    palette: dict[int, int] = dataclasses.field(default_factory=dict)
    palettes_differ: bool = False
    rgb: int = 0  # masks that are stored as RGB
    colored: int = 0  # of these, those that are not gray
    read: int = 0
    example: Path | None = None


def infer_encoding(
    paths: Sequence[Path], table: Sequence[Class], *, ignore: Sequence[int] = ()
) -> Classes:
    """Looks at masks and says what their values mean.

    If the classes are known, some of the masks suffice; else all are read.

    Args:
        paths: The masks.
        table: The classes, as far as they are known; without values, the first is 0.
        ignore: Values that do not count; names go to the other values in order.

    Raises:
        DatasetError: No mask can be read, or they look like photographs.
    """
    seen = _survey(paths[:: max(1, len(paths) // 16)] if table else paths)
    listed = {_packed(c.color) for c in table if c.color}
    if _in_colors(seen, listed):
        return _colors(seen, table)
    return _gray(seen, list(table), list(ignore))


def _survey(paths: Sequence[Path]) -> _Survey:
    total, problem = _Survey(), None
    with ThreadPoolExecutor(THREADS) as pool:
        for path, found in zip(paths, pool.map(_look, paths), strict=True):
            if isinstance(found, DatasetError):
                problem = problem or found
                continue
            values, colors, palette, is_rgb = found
            total.read += 1
            total.example = total.example or path
            total.rgb += is_rgb
            total.colored += is_rgb and not values
            total.values.update(values)
            total.colors.update(colors)
            total.palettes_differ |= any(total.palette.get(i, c) != c for i, c in palette.items())
            total.palette.update(palette)
    if not total.read:
        raise problem or DatasetError("there are no masks; add them beside the images.")
    return total


def _look(path: Path) -> tuple[dict[int, int], dict[int, int], dict[int, int], bool] | DatasetError:
    """Values, colors, colors of palette indices, and whether the file is RGB."""
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
    found, numbers = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), numbers.tolist(), strict=True))


def _palette(path: Path) -> dict[int, int]:
    from PIL import Image  # noqa: PLC0415

    with Image.open(path) as image:
        flat = image.getpalette("RGB") if image.mode == "P" else None
    rows = zip(*[iter(flat or [])] * 3, strict=False)
    return {i: _packed(color) for i, color in enumerate(rows)}


def _in_colors(seen: _Survey, listed: set[int]) -> bool:
    if seen.palettes_differ:
        return True
    if seen.palette and listed:
        return set(seen.palette.values()) <= listed and len(seen.palette) > 1
    return seen.colored > 0 and 2 * seen.rgb >= seen.read


def _colors(seen: _Survey, table: Sequence[Class]) -> Classes:
    if table and all(c.color for c in table):
        return _as_listed(table, [_packed(c.color) for c in table], "colors", [])
    size, count = seen.colors.total(), len(seen.colors)
    common = {c for c, n in seen.colors.items() if n >= RARE * size or count <= MANY}
    if len(common) > MOST_CLASSES or sum(seen.colors[c] for c in common) < COVERED * size:
        raise DatasetError(
            f"the masks ({seen.example} and others) have {count} colors: they look like "
            "photographs, or were saved as JPEG; save them as PNG, or list the colors in "
            "class_dict.csv (name,r,g,b)."
        )
    ordered = sorted(common)
    if table and len(table) != len(ordered):
        raise DatasetError(
            f"the masks have {len(ordered)} colors ({', '.join(map(_hex, ordered[:12]))}), but "
            f"{len(table)} classes are named; list names and colors in class_dict.csv."
        )
    names = [c.name for c in table] or [BACKGROUND if c == 0 else _hex(c) for c in ordered]
    rows = [Class(n, _rgb(c)) for n, c in zip(names, ordered, strict=True)]
    notes = ["No file names the colors of the masks; the classes are the colors found: "
             + ", ".join(f"{r.name} = {_hex(c)}" for r, c in zip(rows[:12], ordered, strict=False))
             + ("." if len(rows) <= 12 else ", …")]  # fmt: skip
    if count > len(common):
        notes.append(f"{count - len(common)} rare colors, as of smoothed edges, do not count.")
    return _as_listed(rows, ordered, "colors", notes)


def _gray(seen: _Survey, table: list[Class], ignore: list[int]) -> Classes:
    values = set(seen.values) - {IGNORE} - set(ignore)
    if _is_binary(seen, table, ignore):
        if len(table) == 1:
            table = [Class(BACKGROUND), *table]
        rows = table or [Class(BACKGROUND), Class("foreground")]
        rows = [dataclasses.replace(c, value=None) for c in rows]
        grays = "; grays are taken as the nearer of both" if len(seen.values) > 2 else ""
        note = f"Black and white masks: 0 is {rows[0].name!r}, 255 is {rows[1].name!r}{grays}."
        return _as_listed(rows, [0, 255], "binary", [note])
    if seen.example is not None and is_jpeg(seen.example):
        raise DatasetError(
            f"{seen.example} is a JPEG, which changes ids at every edge; save masks as PNG (from "
            "the originals: what JPEG has changed cannot be brought back)."
        )
    ids = [i for i in range(len(table) + len(ignore) + 1) if i not in ignore]
    notes = []
    if not table:
        if len(values) > MOST_VALUES:
            raise DatasetError(
                f"the masks ({seen.example} and others) have {len(values)} different values: they "
                "look like photographs, or were saved as JPEG; save class ids as PNG."
            )
        ids = sorted(values)
        if ids and 2 * len(ids) >= max(ids) + 1:  # most ids occur
            ids = [i for i in range(max(ids) + 1) if i not in ignore]
        else:
            notes.append(f"The values {', '.join(map(str, ids[:20]))} of the masks are taken as "
                         f"classes 0 to {len(ids) - 1}, in order.")  # fmt: skip
        table = [Class(f"class {i}") for i in ids] or [Class(BACKGROUND)]
        if ids in ([0, 1], [0]):
            table = [Class(BACKGROUND), Class("foreground")][: len(ids)]
        notes.append(f"No file names the classes; they are called {table[0].name!r} and so on.")
    found = [c.value if c.value is not None else i for c, i in zip(table, ids or [0], strict=False)]
    result = _as_listed(table, found, "ids", notes)
    result.coding.classes.update(dict.fromkeys(ignore, IGNORE))
    result.coding.classes.setdefault(IGNORE, IGNORE)
    colors = [c.color or (_rgb(seen.palette[v]) if v in seen.palette else None)
               for c, v in zip(table, found, strict=True) if not is_void(c.name)]  # fmt: skip
    usable = len({c for c in colors if c}) == len(colors)
    return result._replace(colors=colors if usable else result.colors)


def _is_binary(seen: _Survey, table: list[Class], ignore: list[int]) -> bool:
    """Only 0 and 255; or nearly only, with grays between, as smoothing and JPEG leave them."""
    if len(table) > 2 or 255 not in seen.values or 255 in ignore or max(seen.values) > 255:
        return False
    if len(table) == 2 and any(c.value not in (None, 0, 255) for c in table):
        return False
    if set(seen.values) <= {0, 255}:
        return True
    size = seen.values.total()
    outer = sum(n for v, n in seen.values.items() if v <= 2 or v >= 253)
    near = sum(n for v, n in seen.values.items() if v < NEAR or v >= 256 - NEAR)
    return len(seen.values) > MANY and outer >= 0.85 * size and near >= 0.95 * size


def _as_listed(
    table: Sequence[Class], values: Sequence[int], kind: str, notes: list[str]
) -> Classes:
    """Classes in the order of the table; those named "void" do not count."""
    counting = [c for c in table if not is_void(c.name)] or list(table)
    if len(counting) < len(table):
        voids = ", ".join(repr(c.name) for c in table if c not in counting)
        notes = [*notes, f"Pixels of {voids} do not count."]
    if len(counting) > MOST_CLASSES:
        raise DatasetError(f"{len(counting)} classes are too many; {MOST_CLASSES} is the limit.")
    ids = {id(c): i for i, c in enumerate(counting)}
    names = [c.name for c in counting]
    classes = {v: ids.get(id(c), IGNORE) for c, v in zip(table, values, strict=True)}
    return Classes(MaskEncoding(kind, classes), names, [c.color for c in counting], notes)


def _packed(color: Color | tuple[int, ...] | None) -> int:
    r, g, b = color or (0, 0, 0)
    return r << 16 | g << 8 | b


def _rgb(packed: int) -> Color:
    return packed >> 16, packed >> 8 & 255, packed & 255


def _hex(packed: int) -> str:
    return f"#{packed:06x}"
