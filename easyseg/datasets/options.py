"""`DatasetOptions`: what can be chosen when a data set is opened."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from easyseg.errors import InputError
from easyseg.io.open_image import pixel_limit
from easyseg.results.label_set import LabelSet


@dataclasses.dataclass(frozen=True)
class DatasetOptions:
    """How a data set is opened; checked when made.

    Args:
        format: Name in the table of formats; `None` detects it.
        classes: Where the files name the classes, those to keep, in this order: the others become
            background, or are ignored where there is no background. For masks whose classes have
            no names, the names of their values in order.
        ignore: Classes, by name or id, whose pixels are ignored.
        strict: Whether files outside the data set's folder are refused.
        max_pixels: Height times width above which an image or a mask is refused; `None` for
            $EASYSEG_MAX_PIXELS, else 125 million.

    Raises:
        InputError: An option has the wrong type.
    """

    format: str | None = None
    classes: Iterable[str] | LabelSet | None = None
    ignore: Iterable[str | int] = ()
    strict: bool = False
    max_pixels: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.format, str | None):
            raise InputError(f"format={self.format!r} must be a name such as 'coco', or None.")
        if self.classes is not None and not isinstance(self.classes, LabelSet):
            object.__setattr__(self, "classes", _as_tuple(self.classes))
        if isinstance(self.classes, str | int) or not all(isinstance(n, str) for n in self.names):
            raise InputError(
                f"classes={self.classes!r} must be a list of class names, such as ['road', 'car']."
            )
        ignore = self.ignore
        ignore = (ignore,) if isinstance(ignore, str | int) else _as_tuple(ignore)
        object.__setattr__(self, "ignore", ignore)
        if not isinstance(ignore, tuple) or not all(isinstance(i, str | int) for i in ignore):
            raise InputError(
                f"ignore={self.ignore!r} must be a list of class names or ids, such as ['sky', 11]."
            )
        pixel_limit(self.max_pixels)

    @property
    def names(self) -> tuple[str, ...]:
        """The names in `classes`, in order; empty if none were given."""
        return tuple(self.classes.names if self.label_set else self.classes or ())  # type: ignore[union-attr,arg-type]

    @property
    def label_set(self) -> LabelSet | None:
        """`classes`, if it is a label set, which has colors too."""
        return self.classes if isinstance(self.classes, LabelSet) else None

    def to_dict(self) -> dict[str, Any]:
        """The options that were chosen, as plain values; `DatasetOptions(**d)` lacks colors."""
        options = {
            "format": self.format,
            "classes": list(self.names),
            "ignore": list(self.ignore),
            "strict": self.strict,
            "max_pixels": self.max_pixels,
        }
        return {name: value for name, value in options.items() if value}


def _as_tuple(value: Any) -> Any:
    """A tuple of what can be iterated over, which may be a generator; other values as they are."""
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else value
