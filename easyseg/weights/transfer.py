"""Copies weights to a network with another head, decoder or set of classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from easyseg._keras import keras, layers, ops
from easyseg.errors import InputError
from easyseg.models.graph_utils import sources
from easyseg.models.layers.learned_upsampling import LearnedUpsampling
from easyseg.results.label_set import LabelSet
from easyseg.weights.variable_names import named_variables

SHOWN = 4  # names of a kind in a line of the report


@dataclasses.dataclass(frozen=True)
class TransferReport:
    """The result of `transfer`; variables by the names of `named_variables`.

    `copied`, `partial` and `new` together are all variables of the target.

    Attributes:
        copied: Variables of the target that have the source's values.
        partial: Those that have them for some classes, or for some branches.
        new: Those that keep their initial values.
        unused: Variables of the source that were not copied.
        classes: Classes, by the target's names, whose logits were copied.
    """

    copied: tuple[str, ...]
    partial: tuple[str, ...]
    new: tuple[str, ...]
    unused: tuple[str, ...]
    classes: tuple[str, ...] = ()

    def __str__(self) -> str:
        total = len(self.copied) + len(self.partial) + len(self.new)
        rest = {
            "in part": self.partial,
            "new": self.new,
            "unused": self.unused,
            "classes by name": self.classes,
        }
        lines = [f"{len(self.copied)} of {total} variables copied"]
        for what, names in rest.items():
            shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
            lines += [f"{len(names)} {what}: {shown}"] if names else []
        return "\n".join(lines)


class _Slices(NamedTuple):
    """The slices of a variable that are copied, along one axis.

    Attributes:
        axis: Axis of the variable.
        pairs: Positions in the source and in the target.
        rest: Value of the target's other slices; `None` to keep theirs.
    """

    axis: int
    pairs: Sequence[tuple[int, int]]
    rest: float | None

    def are_partial(self, new: Any) -> bool:
        """Whether the variable has other slices too."""
        return len(self.pairs) < int(new.shape[self.axis])

    def copy(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        """`new` with these slices of `old`."""
        value = new.copy() if self.rest is None else np.full_like(new, self.rest)
        of_old, of_new = (list(positions) for positions in zip(*self.pairs, strict=True))
        np.moveaxis(value, self.axis, 0)[of_new] = np.moveaxis(old, self.axis, 0)[of_old]
        return value


def transfer(
    source: Any,
    target: Any,
    *,
    source_labels: LabelSet | None = None,
    target_labels: LabelSet | None = None,
) -> TransferReport:
    """Copies every weight of the source whose role and shape agree with one of the target.

    A role is a variable's checkpoint name, in a layer that has the same variables in both: a
    convolution with a bias and one without have different roles. Two kinds are copied partially:

    * With both label sets, the logits of classes with equal names, spelling and aliases included;
      the other classes keep their initial values. Without both, logits are copied as they are if
      their shapes agree, whatever their classes mean, and else keep their initial values.
    * A convolution that mixes concatenated branches, where the networks have different ones. The
      weights of branches that the source does not have become 0: a network that only gains branches
      computes the same as the source, until training changes that.

    Args:
        source: A functional `keras.Model`, such as one of `build_model`; it is not changed.
        target: The network to copy to.
        source_labels: The source's classes, in the order of its logits.
        target_labels: The target's.

    Returns:
        What was copied, and what was not, by name.

    Raises:
        InputError: Expected two functional Keras models, and label sets with as many classes as
            their models. Nothing was changed.
    """
    _check("source", source, source_labels)
    _check("target", target, target_labels)
    old, new = named_variables(source), named_variables(target)
    slices, by_class = dict(_branch_slices(source, target)), {}
    if source_labels is not None and target_labels is not None:
        by_class = _class_slices(target, _same_classes(source_labels, target_labels))
    slices |= by_class

    values = {}
    differing = {_scope(name) for name in old.keys() ^ new.keys()}
    for name in new:
        if name in old and _scope(name) not in differing:
            value = _carry(old[name], new[name], slices.get(name))
            if value is not None:
                values[name] = value
    for name, value in values.items():
        new[name].assign(value)

    partial = [n for n in values if n in slices and slices[n].are_partial(new[n])]
    classes = [i for name in values if name in by_class for _, i in by_class[name].pairs]
    return TransferReport(
        copied=tuple(name for name in values if name not in partial),
        partial=tuple(partial),
        new=tuple(name for name in new if name not in values),
        unused=tuple(name for name in old if name not in values),
        classes=tuple(target_labels.names[i] for i in dict.fromkeys(classes))
        if target_labels
        else (),
    )


def _carry(old: Any, new: Any, slices: _Slices | None) -> np.ndarray | None:
    """The new value of the target's variable; `None` where the shapes do not agree."""
    if slices is None:
        return ops.convert_to_numpy(old.value) if old.shape == new.shape else None
    shapes = [list(variable.shape) for variable in (old, new)]
    for shape in shapes:
        del shape[slices.axis]
    if not slices.pairs or shapes[0] != shapes[1]:
        return None
    return slices.copy(ops.convert_to_numpy(old.value), ops.convert_to_numpy(new.value))


def _scope(variable: str) -> str:
    return variable.rpartition("/")[0]


def _check(which: str, model: Any, label_set: LabelSet | None) -> None:
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        raise InputError(
            f"{which}: expected a functional Keras model, such as one of build_model or the model "
            f"of a SemanticSegmentation, got {model!r}."
        )
    classes = model.outputs[0].shape[-1]
    if label_set is not None and len(label_set) != classes:
        raise InputError(
            f"{which}_labels has {len(label_set)} classes, but the model has {classes}; use the "
            "label set of the model."
        )


def _class_slices(model: Any, pairs: Sequence[tuple[int, int]]) -> dict[str, _Slices]:
    """What is copied of the variables of the layers that give the logits.

    There is one such layer in most networks, two whose logits are added with the decoder
    "lraspp", and one more with learned upsampling, which has a kernel per class.
    """
    before = sources(model)
    axes: dict[str, int] = {}
    ends = [layer for layer in before if layer.output is model.outputs[0]]
    while ends:
        layer = ends.pop()
        if isinstance(layer, layers.Conv2D):
            axes[_scope_of(layer)] = -1
        elif isinstance(layer, LearnedUpsampling):
            axes[_scope_of(layer)] = -2
            ends += before[layer]
        elif not getattr(layer, "weights", None):
            ends += before[layer]
    return {
        name: _Slices(axes[_scope(name)], pairs, None)
        for name in named_variables(model)
        if _scope(name) in axes
    }


def _same_classes(source: LabelSet, target: LabelSet) -> list[tuple[int, int]]:
    """Ids in the source and the target of classes that have a spelling in common.

    Where a class has several in common, its name has priority over its aliases.
    """
    old, new = _spellings(source), _spellings(target)
    source_ids: dict[int, int] = {}
    for spelling, i in new.items():
        if spelling in old:
            source_ids.setdefault(i, old[spelling])
    return [(source_ids[i], i) for i in sorted(source_ids)]


def _spellings(label_set: LabelSet) -> dict[str, int]:
    """Ids by names, then by aliases, folded."""
    every = (*label_set.names, *label_set.aliases)
    return {spelling.casefold(): label_set.ids_of(spelling)[0] for spelling in every}


def _branch_slices(source: Any, target: Any) -> Iterator[tuple[str, _Slices]]:
    """What is copied of convolutions whose branches are at other channels in the target."""
    old, new = dict(_mixers(source)), dict(_mixers(target))
    for scope in old.keys() & new.keys():
        both = [b for b in new[scope] if len(old[scope].get(b, ())) == len(new[scope][b])]
        pairs = [pair for b in both for pair in zip(old[scope][b], new[scope][b], strict=True)]
        widths = [sum(map(len, branches[scope].values())) for branches in (old, new)]
        if widths[0] != widths[1] or any(i != j for i, j in pairs):
            yield f"{scope}/weights", _Slices(2, pairs, 0)


def _mixers(model: Any) -> Iterator[tuple[str, dict[str, range]]]:
    """1x1 convolutions of concatenated branches: the input channels of each branch, by name."""
    before = sources(model)
    for operation in before:
        if type(operation) is not layers.Conv2D or operation.kernel_size != (1, 1):
            continue
        joined = before[operation][0]
        while isinstance(joined, layers.Dropout):
            joined = before[joined][0]
        if isinstance(joined, layers.Concatenate):
            first, channels = 0, {}
            for branch in before[joined]:
                last = first + branch.output.shape[-1]
                channels[_branch(branch, before)] = range(first, last)
                first = last
            yield _scope_of(operation), channels


def _branch(operation: Any, before: Mapping[Any, Sequence[Any]]) -> str:
    """The name of a branch: that of its last convolution, plain or separable."""
    while not isinstance(operation, layers.Conv2D) and before[operation]:
        operation = before[operation][0]
    return str(operation.name).removesuffix("_pointwise")


def _scope_of(layer: Any) -> str:
    return str(layer.name).replace("-", "/")
