"""Label sets: which id means which class, and its color."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.errors import InputError
from easyseg.results.colors import read_color
from easyseg.utils.documents import parse_json
from easyseg.utils.registry import unknown_name
from easyseg.utils.resources import pretrained_path
from easyseg.utils.validation import checked, is_count

LARGEST_ID = 65535  # labels are uint8 or uint16

Classes = str | int | Iterable[str | int]
"""Classes by name, alias or id; one or several."""


@dataclasses.dataclass(frozen=True)
class LabelSet:
    """The classes of a model: channel `i` of the logits is `names[i]`.

    Args:
        name: Short name: "voc", "ade20k", "cityscapes", or the user's own.
        names: One name per output channel.
        palette: One RGB color, 0 to 255 each, per output channel.
        void: Id of everything that is not of interest: background for VOC (0), the
            never-trained channel "no class" for ADE20K (0), 255 for Cityscapes, which has
            neither. `Segmentation.filter` writes it, and overlays leave it uncolored.
        ignore_index: Id of ignored pixels in ground truth.
        aliases: Other spellings: `{"bike": "bicycle"}`.

    Raises:
        InputError: Names repeat, names and colors differ in number, or a value breaks a rule.
    """

    name: str
    names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    void: int = 255
    ignore_index: int = 255
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(
            self, "palette", tuple((int(r), int(g), int(b)) for r, g, b in self.palette)
        )
        texts = (self.name, *self.names, *self.aliases, *self.aliases.values())
        if not all(isinstance(text, str) for text in texts):
            raise InputError(
                f"label set {self.name!r} has a name that is not a string; give strings."
            )
        if not all(map(_is_unicode, texts[1:])):
            raise InputError(
                f"label set {self.name!r} has a name with half a character, such as \\ud800 alone; "
                "give Unicode text."
            )
        for field in ("void", "ignore_index"):
            value = getattr(self, field)
            if not (value == 0 or is_count(value)) or value > LARGEST_ID:
                raise InputError(
                    f"{field}={value!r} must be a whole number from 0 to {LARGEST_ID}."
                )
        repeated = {name for name, count in Counter(self.names).items() if count > 1}
        if repeated:
            raise InputError(
                f"label set {self.name!r} has {sorted(repeated)} more than once; rename one."
            )
        if len(self.palette) != len(self.names):
            raise InputError(
                f"label set {self.name!r} has {len(self.names)} names but "
                f"{len(self.palette)} colors; give one color per name."
            )
        if not all(0 <= value <= 255 for color in self.palette for value in color):
            raise InputError(
                f"label set {self.name!r} has colors outside 0 to 255; give (red, green, blue)."
            )
        for alias, name in self.aliases.items():
            if name.casefold() not in {n.casefold() for n in self.names}:
                raise InputError(
                    f"label set {self.name!r} has alias {alias!r} for {name!r}, which it does not "
                    "have; correct or remove it."
                )

    def __len__(self) -> int:
        return len(self.names)

    def name_of(self, class_id: int) -> str:
        """The class's name; ids without a class (such as 255) are "void"."""
        return self.names[class_id] if 0 <= class_id < len(self.names) else "void"

    def ids_of(self, classes: Classes) -> tuple[int, ...]:
        """Ids of several classes as in `id_of`, without repeats, in the order given."""
        several: Sequence[str | int]
        several = [classes] if isinstance(classes, (str, int, np.integer)) else list(classes)
        return tuple(dict.fromkeys(self.id_of(c) for c in several))

    def id_of(self, name_or_id: str | int) -> int:
        """The id of a class given by name, alias or id.

        Raises:
            UnknownNameError: No class has this name or id; suggests the nearest name.
        """
        found = self._find(name_or_id)
        if found is None:
            raise unknown_name(f"class of {self.name}", name_or_id, self.names, self.aliases)
        return found

    def __contains__(self, name_or_id: object) -> bool:
        """Whether a class has this name, alias or id."""
        return self._find(name_or_id) is not None

    def _find(self, name_or_id: object) -> int | None:
        if isinstance(name_or_id, (int, np.integer)) and 0 <= int(name_or_id) < len(self.names):
            return int(name_or_id)
        return self._ids_by_spelling.get(str(name_or_id).strip().casefold())

    @functools.cached_property
    def _ids_by_spelling(self) -> dict[str, int]:
        ids = {name.casefold(): i for i, name in enumerate(self.names)}
        also = {a.casefold(): ids[n.casefold()] for a, n in self.aliases.items()}
        return {**also, **ids}

    @functools.cached_property
    def colors(self) -> np.ndarray:
        """`(256, 3) uint8 RGB`, indexed by label id; ids without a class are black.

        Label sets of more than 256 classes have as many rows as classes and `void` need.
        """
        table = np.zeros((max(256, len(self.palette), self.void + 1), 3), np.uint8)
        table[: len(self.palette)] = self.palette
        return table

    @checked
    def with_colors(self, colors: Mapping[str | int, Any]) -> LabelSet:
        """The same classes, some of them in other colors.

            seg.label_set.with_colors({"person": "#ff8800", "dog": (255, 0, 0)})

        Args:
            colors: By name, alias or id: `(red, green, blue)` from 0 to 255, "#ff8800", "#f80",
                or a name such as "orange". Overlays leave `void` uncolored all the same.

        Raises:
            UnknownNameError: No such class, suggests the nearest name.
            InputError: A value is no color, or a class is there twice.
        """
        if not colors:
            return self
        palette = list(self.palette)
        changed: set[int] = set()
        for name, color in colors.items():
            class_id = self.id_of(name)
            if class_id in changed:
                raise InputError(
                    f"colors= names class {self.names[class_id]!r} twice; give it one color."
                )
            changed.add(class_id)
            palette[class_id] = read_color(color, f"colors={ ({name: color})!r}")
        return dataclasses.replace(self, palette=tuple(palette))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is its inverse."""
        return {
            "name": self.name,
            "void": self.void,
            "ignore_index": self.ignore_index,
            "aliases": dict(self.aliases),
            "classes": [[n, *c] for n, c in zip(self.names, self.palette, strict=True)],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LabelSet:
        """The inverse of `to_dict`."""
        rows = values["classes"]
        return cls(
            name=values["name"],
            names=tuple(row[0] for row in rows),
            palette=tuple((row[1], row[2], row[3]) for row in rows),
            void=values.get("void", 255),
            ignore_index=values.get("ignore_index", 255),
            aliases=values.get("aliases", {}),
        )


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


@checked
@functools.cache
def load_label_set(name: str) -> LabelSet:
    """One of the label sets that come with easyseg: "ade20k", "voc", "cityscapes".

    Raises:
        UnknownNameError: No such label set.
    """
    folder = pretrained_path("labels")
    known = sorted(path.stem for path in Path(folder).glob("*.json"))
    if name not in known:
        raise unknown_name("label set", name, known)
    return LabelSet.from_dict(parse_json((folder / f"{name}.json").read_text("utf-8")))
