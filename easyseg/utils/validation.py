"""Checks of values that users give: types are compared with a public function's signature."""

from __future__ import annotations

import functools
import inspect
import numbers
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from easyseg.errors import ArgumentTypeError
from easyseg.utils.registry import unknown_name

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


class _Type(NamedTuple):
    """What a word of an annotation holds for, and the rule in words."""

    holds: Callable[[Any], bool]
    rule: str


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _are_classes(value: Any) -> bool:
    if isinstance(value, str) or _is_whole(value):
        return True
    if isinstance(value, (bytes, Mapping)) or not isinstance(value, Iterable):
        return False
    several = value if isinstance(value, Collection) else ()  # a generator is read only once
    return all(isinstance(one, str) or _is_whole(one) for one in several)


TYPES = {
    "bool": _Type(lambda value: isinstance(value, bool), "True or False"),
    "int": _Type(_is_whole, "a whole number"),
    "float": _Type(_is_number, "a number"),
    "str": _Type(lambda value: isinstance(value, str), "a name"),
    "AnyPath": _Type(_is_path, "a path"),
    "PathLike": _Type(_is_path, "a path"),
    "Source": _Type(_is_path, "a path"),
    "Classes": _Type(_are_classes, "a class by name or id, or a list of them"),
    "Mapping": _Type(lambda value: isinstance(value, Mapping), "a dict"),
    "Sequence": _Type(lambda value: isinstance(value, Sequence), "a list"),
    "Iterable": _Type(lambda value: isinstance(value, Iterable), "a list"),
}
ANYTHING = {"Any", "ImageSource"}  # checked by what reads them
EXAMPLES = {  # by argument
    "alpha": "0.6",
    "architecture": "'xception65.voc'",
    "batch": "4",
    "batch_size": "4",
    "class_map": "{'human': 'person'}",
    "class_names": "['road', 'car']",
    "colors": "{'person': '#ff8800'}",
    "config": "ModelConfig()",
    "dataset": "open_dataset('my_folder')",
    "classes": "['person', 'car']",
    "csv": "'areas.csv'",
    "data": "'my_folder'",
    "device": "'gpu'",
    "folder": "'my_model'",
    "opset": "17",
    "ignore": "['sky', 11]",
    "images": "['a.jpg', 'b.jpg']; of one image, [image]",
    "input_size": "512",
    "jsonl": "'results.jsonl'",
    "keep": "['person']",
    "kind": "'overlay'",
    "mean": "(0.485, 0.456, 0.406)",
    "min_area": "100",
    "model": "'xception65.ade20k'",
    "num_classes": "3; names go into class_names",
    "out": "'out.png'",
    "output_stride": "16",
    "path": "'out.png'",
    "precision": "'float32'",
    "preset": "'mobile'",
    "run_dir": "'runs/mine'",
    "runtime": "'openvino'",
    "scales": "(0.5, 1.0, 1.5)",
    "shard": "'3/16'",
    "source": "'my_folder'",
    "sources": "'images'",
    "split": "'val'",
    "std": "(0.229, 0.224, 0.225)",
    "tile": "513",
    "tolerance": "1.0",
    "weights": "'imagenet'",
}
LONGEST = 60  # characters of a value in a message; of others the type is named


def checked(function: F) -> F:
    """A decorator of public functions: arguments must be of the types that the signature names.

    What its `**options` takes, the function checks itself.

    Raises:
        ArgumentTypeError: When the function is called: an argument is of another type, is missing,
            or does not exist.
    """
    signature = inspect.signature(function)
    rules = {
        name: str(parameter.annotation)
        for name, parameter in signature.parameters.items()
        if name not in ("self", "cls") and parameter.kind is not parameter.VAR_KEYWORD
    }
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if not takes_any:
            _check_names(options, rules)
        try:
            given = signature.bind(*args, **options).arguments
        except TypeError as error:
            where = function.__qualname__.removesuffix(".__init__")
            raise ArgumentTypeError(f"{where}: {error}; it takes {', '.join(rules)}.") from None
        for name in rules.keys() & given.keys():
            _check(name, given[name], rules[name])
        return function(*args, **options)

    return call  # type: ignore[return-value]


def checked_fields(cls: C) -> C:
    """The same for a dataclass."""
    cls.__init__ = checked(cls.__init__)  # type: ignore[misc]
    return cls


def check_options(options: Mapping[str, Any], allowed: type) -> None:
    """The same for `**options`, which a `TypedDict` describes."""
    rules = {name: ref.__forward_arg__ for name, ref in allowed.__annotations__.items()}
    _check_names(options, rules)
    for name, value in options.items():
        _check(name, value, rules[name])


def _check_names(options: Iterable[str], known: Iterable[str]) -> None:
    for name in options:
        if name not in known:
            raise ArgumentTypeError(str(unknown_name("argument", name, known)))


def _check(name: str, value: Any, annotation: str) -> None:
    words = _words(annotation)
    if (value is None and "None" in words) or ANYTHING.intersection(words):
        return
    kinds = [TYPES.get(word) or _class_named(word) for word in words if word != "None"]
    if any(kind.holds(value) for kind in kinds):
        return
    rule = " or ".join(dict.fromkeys(kind.rule for kind in kinds))
    example = f", such as {EXAMPLES[name]}" if name in EXAMPLES else ""
    shown = repr(value)
    got = f"{name}={shown}" if len(shown) <= LONGEST else f"{name} (of type {type(value).__name__})"
    raise ArgumentTypeError(f"{got} must be {rule}{example}.")


@functools.cache
def _words(annotation: str) -> list[str]:
    """`"Mapping[str, str | None] | None"` -> `["Mapping", "None"]`."""
    while (plain := re.sub(r"\[[^\[\]]*\]", "", annotation)) != annotation:
        annotation = plain
    return [word.strip().rpartition(".")[2] for word in annotation.split("|")]


def _class_named(word: str) -> _Type:
    """A class that is not imported here."""
    return _Type(lambda value: word in {cls.__name__ for cls in type(value).__mro__}, f"a {word}")


def is_count(value: Any) -> bool:
    """Whether the value is a whole number from 1, of Python's or NumPy's."""
    return _is_whole(value) and int(value) >= 1


def to_builtin(value: Any) -> Any:
    """NumPy's numbers and arrays as Python's, also within lists, to be written as text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return type(value)(map(to_builtin, value)) if type(value) in (list, tuple) else value
