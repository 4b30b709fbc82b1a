"""Rows of results: what is known of an image once it is segmented, as columns of a table."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from easyseg.inference.results_log import is_result, read_lines
from easyseg.io.atomic import new_file

COLUMNS = {  # name: Arrow's type
    "path": "string",
    "result": "string",
    "width": "int32",
    "height": "int32",
    "classes": "list<string>",
    "ratios": "list<double>",
    "seconds": "double",
    "model_sha256": "string",
    "error": "string",
}
ROWS = 1024  # of a row group, which is in memory


def to_row(line: Mapping[str, Any], model_sha256: str | None) -> dict[str, Any]:
    """A line of the results log as a row: plain values by the names of `COLUMNS`."""
    classes = line.get("classes", ())
    return {
        "path": line["source"],
        "result": line.get("result"),
        "width": line.get("width"),
        "height": line.get("height"),
        "classes": [each["name"] for each in classes],
        "ratios": [each["ratio"] for each in classes],
        "seconds": round(sum(line.get("milliseconds", {}).values()) / 1000, 4),
        "model_sha256": model_sha256,
        "error": line.get("error"),
    }


def schema() -> Any:
    """The columns, for pyarrow."""
    import pyarrow as pa  # noqa: PLC0415

    types = {
        "string": pa.string(),
        "int32": pa.int32(),
        "double": pa.float64(),
        "list<string>": pa.list_(pa.string()),
        "list<double>": pa.list_(pa.float64()),
    }
    return pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])


def to_table(rows: Iterable[Mapping[str, Any]]) -> Any:
    """A `pyarrow.Table` of rows, with the same columns whatever is in them."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.Table.from_pylist(
        [{name: _as_text(value) for name, value in row.items()} for row in rows], schema=schema()
    )


def _as_text(value: Any) -> Any:
    """Text that Arrow can hold; names of files may hold any bytes."""
    if not isinstance(value, str) or value.isascii():
        return value
    return os.fsencode(value).decode("utf-8", "backslashreplace")


def write_parquet(log: Path, path: Path, model_sha256: str | None) -> None:
    """Writes the lines of a results log as a Parquet file of rows, completely or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    from pyarrow import parquet  # noqa: PLC0415

    with new_file(path) as file, parquet.ParquetWriter(file, schema()) as writer:
        lines = (line for line in read_lines(log) if is_result(line) or _is_failed(line))
        for rows in _groups(to_row(line, model_sha256) for line in lines):
            writer.write_table(to_table(rows))


def _is_failed(line: Mapping[str, Any]) -> bool:
    return "result" not in line and "classes" not in line and isinstance(line.get("error"), str)


def _groups(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    for row in rows:
        group.append(row)
        if len(group) == ROWS:
            yield group
            group = []
    if group:
        yield group
