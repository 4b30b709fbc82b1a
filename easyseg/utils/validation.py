"""Checks of values that users give."""

from __future__ import annotations

import numbers
from typing import Any

__all__ = ["is_count", "to_builtin"]


def is_count(value: Any) -> bool:
    """Whether the value is a whole number from 1, of Python's or NumPy's."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return whole and int(value) >= 1


def to_builtin(value: Any) -> Any:
    """NumPy's numbers and arrays as Python's, also within lists, so that they travel as text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return type(value)(map(to_builtin, value)) if type(value) in (list, tuple) else value
