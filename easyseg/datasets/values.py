"""What the text files of a data set hold: what is unambiguous is taken, the rest is an error."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.errors import DatasetError, os_reason
from easyseg.utils.documents import parse_json, parse_yaml

MAX_COORDINATE = 1e8  # pixels; five times that fits into 32 bits
WHOLE = re.compile(r"(-?[0-9]{1,100})(?:\.0*)?")
MAX_TEXT, MAX_JSON = 100 << 20, 2048 << 20  # bytes
BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16, in which some editors of Windows write


def read_text(path: Path, *, most: int | None = None) -> str:
    """The file's text, with or without a byte order mark; `most`: bytes, else by its name.

    Raises:
        DatasetError: It is not a file, too large, or cannot be opened.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113  (no raising)
        raise DatasetError(f"{path} is not a regular file; replace it, or remove it.")
    limit = most or (MAX_JSON if path.suffix.lower() == ".json" else MAX_TEXT)
    try:
        if path.stat().st_size > limit:
            raise DatasetError(f"{path} is over {limit >> 20} MB; divide it, or remove it.")
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"Cannot read {path}: {os_reason(error)}. Check its name and its permissions."
        ) from error
    is_wide = len(content) > 3 and content[1] == content[3] == 0  # no mark, but two bytes each
    try:
        if content.startswith(BYTE_ORDER_MARKS) or is_wide:
            return content.decode("utf-16-le" if is_wide else "utf-16").removeprefix("\ufeff")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def read_lines(path: Path, *, most: int | None = None) -> list[str]:
    """The file's lines without blanks around them, and without empty ones; see `read_text`."""
    lines = map(str.strip, read_text(path, most=most).splitlines())
    return [line for line in lines if line]


def read_json(path: Path) -> Any:
    """The values of a JSON file.

    Raises:
        DatasetError: It cannot be opened, is not JSON, or is nested too deeply.
    """
    return _parsed(path, parse_json, "JSON", "export it again")


def read_yaml(path: Path) -> Any:
    """The values of a YAML file.

    Raises:
        DatasetError: It cannot be opened, is not YAML, or is beyond the limits of `parse_yaml`.
    """
    return _parsed(path, parse_yaml, "YAML", "correct it")


def _parsed(path: Path, parse: Callable[[str], Any], kind: str, cure: str) -> Any:
    content = read_text(path)
    try:
        return parse(content)
    except ValueError as error:
        raise DatasetError(f"{path} is not {kind} ({error}); {cure}.") from error


def entries(content: Any, part: str, file: Path) -> list[dict[str, Any]]:
    """The list of objects under a name.

    Raises:
        DatasetError: There is no such list, or it holds something else.
    """
    values = content.get(part) if isinstance(content, dict) else None
    if not isinstance(values, list):
        raise DatasetError(f"{file} has no list of {part!r}; export it again.")
    for number, value in enumerate(values, 1):
        if not isinstance(value, dict):
            raise DatasetError(
                f"entry {number} of {part!r} in {file} is {shown(value)}, not an object; "
                "export it again."
            )
    return values


def whole_number(value: Any, where: str, *, least: int = 0, most: int = 1 << 31) -> int:
    """A whole number, which may be written as text or with a fraction of 0.

    Raises:
        DatasetError: It is something else, or not from `least` to `most`.
    """
    try:
        number = float(value) if isinstance(value, str) else value
        if number == int(number) and least <= number <= most:
            return int(number)
    except (ValueError, TypeError, OverflowError):
        pass
    limit = f"of at least {least}" if most == 1 << 31 else f"from {least} to {most}"
    raise DatasetError(f"{where} is {shown(value)}; give a whole number {limit}.")


def numbers(values: Any, where: str) -> np.ndarray:
    """`float64` numbers of any nesting, such as corners; they may be written as text.

    Raises:
        DatasetError: One is missing, not a number, infinite or NaN, or the nesting is uneven.
    """
    try:
        array = np.asarray(values, np.float64)
    except (ValueError, TypeError, OverflowError):
        array = None
    if array is None or not np.isfinite(array).all():
        raise DatasetError(
            f"{where} has a corner that is not a number; give pixels, or remove the shape."
        )
    if np.abs(array).max(initial=0) > MAX_COORDINATE:
        raise DatasetError(
            f"{where} has a corner at {np.abs(array).max():g}, which is in no image; give pixels, "
            "or remove the shape."
        )
    return array


def id_of(value: Any, where: str) -> int | str:
    """An id: a whole number of any size, or other text; 5.0, "5" and "0005" are 5.

    Raises:
        DatasetError: It is missing or something else.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        number = WHOLE.fullmatch(value.strip())
        return int(number[1]) if number else value.strip()
    raise DatasetError(f"{where} is {shown(value)}; give a whole number or text.")


def text(value: Any, where: str) -> str:
    """Text, or a number as text.

    Raises:
        DatasetError: It is missing or something else.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    raise DatasetError(f"{where} is {shown(value)}; give text.")


def shown(value: Any) -> str:
    """A value in a message: short, on one line."""
    if value is None:
        return "missing"
    if isinstance(value, dict | list | set | tuple):  # which may be long, or hold itself
        return f"a {'list' if not isinstance(value, dict) else 'mapping'} of {len(value)}"
    line = repr(value)
    return line if len(line) <= 40 else f"{line[:40]}…"
