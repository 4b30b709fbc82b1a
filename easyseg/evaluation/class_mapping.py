"""Which class of a model is which class of a data set."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from easyseg.errors import InputError, UnknownNameError
from easyseg.results.label_set import LabelSet
from easyseg.utils.registry import nearest

IGNORE_ID = 255  # in the ground truth
ALL_IDS = np.arange(65536, dtype=np.uint16)
MAX_NAMES = 30  # in a message
NO_CLASS = 65535  # predicted as none of the data set's classes: always an error


@dataclasses.dataclass(frozen=True, eq=False)
class ClassMapping:
    """Maps predicted labels and ground truth to the data set's classes.

    Attributes:
        label_set: The data set's classes.
        notes: How classes were mapped, in sentences; empty where both have the same classes.
        prediction_ids: `(model classes,) uint16`, the data set's id of each class, or `None`.
        ground_truth_ids: `(65536,) uint16`, the id that each id is scored as, or `None`.
    """

    label_set: LabelSet
    notes: tuple[str, ...] = ()
    prediction_ids: np.ndarray | None = None
    ground_truth_ids: np.ndarray | None = None

    def map_prediction(self, labels: np.ndarray) -> np.ndarray:
        """The model's `(H, W)` labels as ids of the data set."""
        return labels if self.prediction_ids is None else self.prediction_ids[labels]

    def map_ground_truth(self, labels: np.ndarray) -> np.ndarray:
        """The `(H, W)` ground truth, with 255 where a class is excluded."""
        return labels if self.ground_truth_ids is None else self.ground_truth_ids[labels]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        predicted, scored = self.prediction_ids, self.ground_truth_ids
        return {
            "label_set": self.label_set.to_dict(),
            "notes": list(self.notes),
            "prediction_ids": None if predicted is None else predicted.tolist(),
            "excluded": None if scored is None else np.flatnonzero(scored != ALL_IDS).tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClassMapping:
        """The inverse of `to_dict`."""
        predicted, excluded = values["prediction_ids"], values["excluded"]
        return cls(
            LabelSet.from_dict(values["label_set"]),
            tuple(values["notes"]),
            None if predicted is None else np.array(predicted, np.uint16),
            None if excluded is None else _without(excluded),
        )


def map_classes(
    model: LabelSet, data: LabelSet, class_map: Mapping[str, str | None] | None = None
) -> ClassMapping:
    """Finds each class of a data set among a model's, by name.

    Case does not matter, and the aliases of both sides are tried. Classes that only the model has
    are scored as the data set's background, if it has one (its `void`, or a class of that name),
    else as an error wherever they are predicted.

    Args:
        model: The model's classes.
        data: The data set's.
        class_map: Names in the data set, each with its name in the model, where they differ;
            `{"pole": None}` excludes a class: its pixels are ignored.

    Raises:
        InputError: The data set has classes that the model lacks, or two that map to one.
        UnknownNameError: `class_map` names an unknown class.
    """
    by_name = {data.ids_of(data_id)[0]: model_id for data_id, model_id in (class_map or {}).items()}
    if not by_name and _spellings(model) == _spellings(data):
        return ClassMapping(data)
    pairs: dict[int, int] = {}  # id of the data set: id of the model
    for i, name in enumerate(data.names):
        target_name = by_name.get(i, name)
        model_id = (
            None if target_name is None else _find(target_name, data, model, strict=i in by_name)
        )
        if model_id is not None:
            pairs[i] = model_id
    excluded = [i for i, model_id in by_name.items() if model_id is None]
    others = sorted(set(range(len(model))) - set(pairs.values()))  # which only the model has
    background = _background(data)
    covered = {*pairs, *excluded, *([background] if others else [])}
    _refuse_missing(model, data, [i for i in range(len(data)) if i not in covered])
    _refuse_twice(model, data, pairs)

    prediction_ids = np.full(len(model), NO_CLASS if background is None else background, np.uint16)
    prediction_ids[list(pairs.values())] = list(pairs)
    notes = _notes(model, data, pairs)
    if others:
        where = "an error" if background is None else repr(data.names[background])
        names = _some([model.names[i] for i in others])
        notes.append(f"Classes that only the model has are scored as {where}: {names}.")
    if excluded:
        notes.append(f"Excluded, so ignored: {_some([data.names[i] for i in excluded])}.")
    return ClassMapping(
        data, tuple(notes), prediction_ids, _without(excluded) if excluded else None
    )


def _without(excluded: Sequence[int]) -> np.ndarray:
    """`(65536,) uint16`, the id that each id of the ground truth is scored as."""
    ids = ALL_IDS.copy()
    ids[list(excluded)] = IGNORE_ID
    return ids


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
        example = next(iter(nearest(names[0], model.names)), model.names[min(1, len(model) - 1)])
        raise InputError(
            f"data set {data.name!r} has classes that the model's {model.name!r} lacks: "
            f"{_some(names)}. Map each to one of the model's ({_some(model.names)}), such as "
            f"class_map={{{names[0]!r}: {example!r}}}, or exclude it: "
            f"class_map={{{names[0]!r}: None}}.{_keep_common(data, missing)}"
        )


def _keep_common(data: LabelSet, missing: list[int]) -> str:
    """Advice for a model of a few of many classes, as training with `classes=` makes one."""
    background = _background(data)
    common = [data.names[i] for i in range(len(data)) if i not in missing and i != background]
    if background is None or not 0 < len(common) <= MAX_NAMES:
        return ""
    return f" Where the others are to be background, keep the common ones: classes={common!r}."


def _refuse_twice(model: LabelSet, data: LabelSet, pairs: Mapping[int, int]) -> None:
    for model_id in pairs.values():
        names = [data.names[i] for i, other in pairs.items() if other == model_id]
        if len(names) > 1:
            raise InputError(
                f"classes {' and '.join(map(repr, names))} of data set {data.name!r} are both "
                f"{model.names[model_id]!r} of the model. Exclude one: "
                f"class_map={{{names[1]!r}: None}}."
            )


def _notes(model: LabelSet, data: LabelSet, pairs: Mapping[int, int]) -> list[str]:
    count = f"{len(pairs)} of the data set's {len(data)} classes are mapped to the model's"
    notes = [f"{count} {len(model)}."]
    renamed = [
        f"{data.names[data_id]} = {model.names[model_id]}"
        for data_id, model_id in pairs.items()
        if data.names[data_id].casefold() != model.names[model_id].casefold()
    ]
    if renamed:
        notes.append(f"Under other names (data = model): {_some(renamed)}.")
    return notes


def _some(names: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more
