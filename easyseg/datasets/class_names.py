"""Class names, colors and ids, from the small files that tools write beside masks."""

from __future__ import annotations

import colorsys
import csv
import dataclasses
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from easyseg.datasets.base import IGNORE
from easyseg.datasets.values import read_lines, read_text
from easyseg.errors import DatasetError, InputError
from easyseg.results.label_set import LabelSet

Color = tuple[int, int, int]
BACKGROUND = "background"
FOREGROUND = "foreground"  # of black and white masks that no file describes
BACKGROUNDS = {"background", "_background_", "bg"}
VOIDS = {"void", "ignore", "ignored", "unlabelled", "unlabeled", "don't care"}
GOLDEN = 0.618034  # of a turn
MAX_VALUE = 65535  # in a mask of 16 bits
COLOR_FILE = "label_colors.txt"  # of CamVid, and of CVAT's export in its form
NAME_FILES = ("class_dict.csv", "_classes.csv", "labelmap.txt", "label_map.txt", COLOR_FILE,
              "classes.txt", "class_names.txt", "names.txt", "labels.txt", "codes.txt")  # fmt: skip
NO_ID = "__ignore__"  # labelme's class -1, that is 255: it takes no id in a list of names


@dataclasses.dataclass(frozen=True)
class Class:
    """A class as a file names it.

    Args:
        name: Its name.
        color: Its RGB color in the masks, if the file says so.
        value: Its value in the masks, if the file says so; else its position in the file.
    """

    name: str
    color: Color | None = None
    value: int | None = None


def find_classes(root: Path) -> tuple[list[Class], Path | None]:
    """The classes that a file in `root` or in one of its folders names, and that file.

    Known are `class_dict.csv` (name, r, g, b), Roboflow's `_classes.csv` (pixel value, class),
    CVAT's `labelmap.txt` (name:r,g,b:parts:actions), CamVid's `label_colors.txt` (r g b name) and
    lists with a name on each line.

    Raises:
        DatasetError: The file cannot be parsed.
    """
    folders = [root, *sorted(p for p in root.iterdir() if p.is_dir())]
    for name in NAME_FILES:
        for folder in folders:
            path = folder / name
            if path.is_file():
                return _read(path), path
    return [], None


class ClassTable:
    """Ids of classes by name, by the same rule for outlines in every format.

    Names that differ in case or blanks alone are one class; background, under any of its names, is
    0; "void" and the like are ignored pixels.

    Attributes:
        names: Of the classes, background first.
        notes: Which names were merged.
    """

    def __init__(self) -> None:
        self.names = [BACKGROUND]
        self.notes: list[str] = []

    def add(self, names: Iterable[str]) -> list[int]:
        """Ids of the classes that a file lists, or `IGNORE`; new names get the next ids.

        Args:
            names: As `clean` returns them.

        Raises:
            DatasetError: There are too many classes.
        """
        spellings, notes = first_spellings(names)
        self.notes += notes
        return [self._id_of(name) for name in spellings]

    def _id_of(self, name: str) -> int:
        if is_void(name):
            return IGNORE
        if name.casefold() in BACKGROUNDS:
            return 0
        for i, known in enumerate(self.names):
            if known.casefold() == name.casefold():
                return i
        self.names.append(name)
        if len(self.names) > IGNORE:
            raise DatasetError(
                f"{len(self.names)} classes are too many; keep at most {IGNORE} of them."
            )
        return len(self.names) - 1


def first_spellings(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Each name as it is spelled first, with other case or blanks, and notes of those merged.

    Args:
        names: As `clean` returns them.
    """
    first: dict[str, str] = {}
    spellings: list[str] = []
    notes: list[str] = []
    for name in names:
        spellings.append(first.setdefault(name.casefold(), name))
        if len(first) < len(spellings) - len(notes):
            notes.append(f"Classes {spellings[-1]!r} and {name!r} are merged.")
    return spellings, notes


def clean(name: object, number: int) -> str:
    """A name on one line; an empty one becomes "class <number>"."""
    text = "".join(c if c.isprintable() else " " for c in str(name))
    return " ".join(text.split()) or f"class {number}"


def is_void(name: str) -> bool:
    """Whether a class of this name stands for ignored pixels."""
    return name.strip("_ ").casefold() in VOIDS


def make_label_set(
    name: str, names: Iterable[str], colors: Iterable[Color | None] = ()
) -> LabelSet:
    """A label set; repeated names get a number, missing colors are chosen.

    A first class named "background" is the set's void, and black.
    """
    unique: list[str] = []
    for i, raw_name in enumerate(names):
        unique_name, taken = clean(raw_name, i), {n.casefold() for n in unique}
        if unique_name.casefold() in taken:
            numbered = (f"{unique_name} {k}" for k in range(2, len(unique) + 3))
            unique_name = next(name for name in numbered if name.casefold() not in taken)
        unique.append(unique_name)
    has_background = bool(unique) and unique[0].casefold() in BACKGROUNDS
    given_colors = [*colors, *[None] * len(unique)]
    return LabelSet(
        name=clean(name, 0),
        names=tuple(unique),
        palette=tuple(
            color or distinct_color(i if has_background else i + 1)
            for i, color in enumerate(given_colors[: len(unique)])
        ),
        void=0 if has_background else 255,
    )


def label_set_of(names: Sequence[str] | LabelSet, title: str = "custom") -> LabelSet:
    """The label set of these names, if it is none already.

    Raises:
        InputError: They are not a list of different names.
    """
    if isinstance(names, LabelSet):
        return names
    if (
        not isinstance(names, (list, tuple))
        or not names
        or not all(isinstance(n, str) for n in names)
    ):
        raise InputError(
            f"class_names={names!r} must be a list of names such as ['road', 'car'], or a LabelSet."
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"class_names has {repeated} more than once; rename one.")
    return make_label_set(title, names)


def distinct_color(index: int) -> Color:
    """The color of a class that has none: black for 0, then hues a golden angle apart."""
    if index == 0:
        return 0, 0, 0
    hue, value = index * GOLDEN % 1, (1.0, 0.7, 0.85)[index % 3]
    r, g, b = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.85, value))
    return r, g, b


def _read(path: Path) -> list[Class]:
    try:
        if path.suffix == ".csv":
            rows = _from_csv(path)
        elif path.name.startswith("label") and any(":" in line for line in read_lines(path)):
            rows = _from_cvat(path)
        elif path.name == COLOR_FILE:
            cells = [line.split(None, 3) for line in read_lines(path) if not line.startswith("#")]
            rows = [Class(row[3], color=_color(row[:3])) for row in cells]
        else:
            rows = [Class(line) for line in read_lines(path) if line != NO_ID]
    except DatasetError:  # it cannot be opened
        raise
    except (ValueError, IndexError, csv.Error) as error:
        raise DatasetError(
            f"{path} is not a list of classes ({error}); write lines of name,r,g,b in "
            "class_dict.csv, value,name in _classes.csv, name:r,g,b:: in labelmap.txt, or one name "
            "in classes.txt."
        ) from error
    if not rows:
        raise DatasetError(f"{path} names no classes; write them into it, or remove it.")
    return rows


def _from_csv(path: Path) -> list[Class]:
    text = read_text(path)
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    table = csv.reader(io.StringIO(text), delimiter=delimiter)
    rows = [[cell.strip() for cell in row] for row in table]
    rows = [row for row in rows if any(row)]
    head = [cell.casefold() for cell in rows[0]] if rows else []
    if "pixel value" in head:
        value, name = head.index("pixel value"), head.index("class")
        return [Class(row[name], value=_in_range(row[value], MAX_VALUE)) for row in rows[1:]]
    order = [0, 1, 2, 3]  # name, r, g, b
    if head and not any(cell.lstrip("+-").isdecimal() for cell in head[1:]):
        rows = rows[1:]
        if "name" in head and {"r", "g", "b"} <= {*head}:
            order = [head.index(key) for key in ("name", "r", "g", "b")]
    return [Class(row[order[0]], color=_color([row[i] for i in order[1:]])) for row in rows]


def _from_cvat(path: Path) -> list[Class]:
    rows = []
    for line in read_lines(path):
        if line.startswith(("#", "label:color")):
            continue
        name, color, *_ = line.rsplit(":", 3) if line.count(":") >= 3 else line.rsplit(":", 1)
        rows.append(Class(name, color=_color(color.split(","))))
    return rows


def _color(cells: list[str]) -> Color:
    r, g, b = (_in_range(cell, 255) for cell in cells)
    return r, g, b


def _in_range(cell: str, most: int) -> int:
    if not 0 <= int(cell) <= most:
        raise ValueError(f"{cell} is outside 0 to {most}")
    return int(cell)
