"""Tables as CSV, of which a spreadsheet computes nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from easyseg.io.atomic import write_bytes

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # at the start of a text (OWASP)


def write_csv(path: Path, rows: Iterable[Iterable[object]], *, encoding: str = "utf-8") -> None:
    """Writes a file, completely or not at all.

    Text that a spreadsheet would compute gets an apostrophe in front, so that it remains text.

    Args:
        path: The file.
        rows: Text, numbers and `None`.
        encoding: "utf-8-sig" has a mark by which spreadsheets know it.

    Raises:
        OutputError: It cannot be written.
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerows(map(_as_text, rows))
    write_bytes(path, text.getvalue().encode(encoding, "backslashreplace"))


def _as_text(row: Iterable[object]) -> list[object]:
    return [
        f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
        for value in row
    ]
