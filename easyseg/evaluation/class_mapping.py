"""The classes of a model beside those of a data set: which is which."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping

import numpy as np

from easyseg.errors import InputError, UnknownNameError
from easyseg.results.label_set import LabelSet

__all__ = ["ClassMapping", "map_classes"]

UNCOUNTED = 255  # in the truth
NO_CLASS = 65535  # among found labels: wrong, for no class


@dataclasses.dataclass(frozen=True, eq=False)
class ClassMapping:
    """How found labels and true ones are brought to the data set's classes.

    Attributes:
        label_set: The data set's classes.
        notes: What was matched, in sentences; empty where both have the same classes.
        found_ids: `(classes of the model,) uint16`, the data set's id of each; `None`: the same.
        true_ids: `(65536,) uint16`, what each id of the truth counts as; `None`: itself.
    """

    label_set: LabelSet
    notes: tuple[str, ...] = ()
    found_ids: np.ndarray | None = None
    true_ids: np.ndarray | None = None

    def found(self, labels: np.ndarray) -> np.ndarray:
        """The model's `(H, W)` labels as ids of the data set."""
        return labels if self.found_ids is None else self.found_ids[labels]

    def true(self, truth: np.ndarray) -> np.ndarray:
        """The `(H, W)` truth, with 255 where a class is left out."""
        return truth if self.true_ids is None else self.true_ids[truth]


def map_classes(
    model: LabelSet, data: LabelSet, class_map: Mapping[str, str | None] | None = None
) -> ClassMapping:
    """Finds each class of a data set among a model's, by name.

    Capitals do not matter, and aliases of either side count. Classes that only the model has are
    found as the data set's background, if it has one (its `void`, or a class of that name), else
    as no class, which is wrong wherever it is counted.

    Args:
        model: The model's classes.
        data: The data set's.
        class_map: Names in the data set, each with its name in the model, where they differ;
            `{"pole": None}` leaves a class out: its pixels do not count.

    Raises:
        InputError: The data set has classes that the model has not, or two for one; names them.
        UnknownNameError: `class_map` names a class that is none.
    """
    given = {data.ids_of(theirs)[0]: ours for theirs, ours in (class_map or {}).items()}
    if not given and _spellings(model) == _spellings(data):
        return ClassMapping(data)
    pairs: dict[int, int] = {}  # id of the data set: id of the model
    for i, name in enumerate(data.names):
        wanted = given.get(i, name)
        ours = None if wanted is None else _find(wanted, data, model, strict=i in given)
        if ours is not None:
            pairs[i] = ours
    left_out = [i for i, ours in given.items() if ours is None]
    others = sorted(set(range(len(model))) - set(pairs.values()))  # which only the model has
    background = _background(data)
    covered = {*pairs, *left_out, *([background] if others else [])}
    _refuse_missing(model, data, [i for i in range(len(data)) if i not in covered])
    _refuse_twice(model, data, pairs)

    found_ids = np.full(len(model), NO_CLASS if background is None else background, np.uint16)
    found_ids[list(pairs.values())] = list(pairs)
    true_ids = np.arange(65536, dtype=np.uint16)
    true_ids[left_out] = UNCOUNTED
    notes = _notes(model, data, pairs)
    if others:
        where = "no class, which is wrong" if background is None else repr(data.names[background])
        names = _some([model.names[i] for i in others])
        notes.append(f"Classes that only the model has count as {where}: {names}.")
    if left_out:
        notes.append(f"Left out, so not counted: {_some([data.names[i] for i in left_out])}.")
    return ClassMapping(data, tuple(notes), found_ids, true_ids if left_out else None)


def _spellings(label_set: LabelSet) -> tuple[str, ...]:
    return tuple(name.casefold() for name in label_set.names)


def _find(name: str, data: LabelSet, model: LabelSet, *, strict: bool) -> int | None:
    """The model's id of a name, by the aliases of either; if it has none an error or `None`."""
    if strict:
        return model.ids_of(name)[0]
    for spelling in (name, *(alias for alias, means in data.aliases.items() if means == name)):
        with contextlib.suppress(UnknownNameError):
            return model.ids_of(spelling)[0]
    return None


def _background(data: LabelSet) -> int | None:
    if data.void < len(data):
        return data.void
    spellings = _spellings(data)
    return spellings.index("background") if "background" in spellings else None


def _refuse_missing(model: LabelSet, data: LabelSet, missing: list[int]) -> None:
    if missing:
        names = [data.names[i] for i in missing]
        raise InputError(
            f"data set {data.name!r} has classes that the model's {model.name!r} has not: "
            f"{_some(names)}; say with match which of the model's ({_some(model.names)}) "
            f"they are, or leave them out: match={{{names[0]!r}: None}}."
        )


def _refuse_twice(model: LabelSet, data: LabelSet, pairs: Mapping[int, int]) -> None:
    for ours in pairs.values():
        names = [data.names[i] for i, other in pairs.items() if other == ours]
        if len(names) > 1:
            raise InputError(
                f"classes {' and '.join(map(repr, names))} of data set {data.name!r} are both "
                f"{model.names[ours]!r} of the model; leave one out: match={{{names[1]!r}: None}}."
            )


def _notes(model: LabelSet, data: LabelSet, pairs: Mapping[int, int]) -> list[str]:
    count = f"{len(pairs)} of the data set's {len(data)} classes are matched with the model's"
    notes = [f"{count} {len(model)}."]
    renamed = [
        f"{data.names[theirs]} = {model.names[ours]}"
        for theirs, ours in pairs.items()
        if data.names[theirs].casefold() != model.names[ours].casefold()
    ]
    if renamed:
        notes.append(f"Under other names (data = model): {_some(renamed)}.")
    return notes


def _some(names: list[str] | tuple[str, ...], count: int = 20) -> str:
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
