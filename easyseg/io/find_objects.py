"""Which images a URI of an object store names, and lists of them in Parquet files."""

from __future__ import annotations

import fnmatch
import glob
import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from easyseg.errors import EasysegError, ImageNotFoundError, InputError, os_reason, show_path
from easyseg.io.remote import is_object, list_objects, read_object
from easyseg.utils.files import read_file

LIST_OF_URIS = ".parquet"
COLUMNS = ("path", "uri", "url", "source", "image")  # of a Parquet file, the first that it has
LARGEST_PARQUET = 2 << 30  # bytes
LARGEST_COLUMN = 512 << 20  # bytes of its paths, unpacked
EXPANSION = 16  # or of all columns, for each byte of the file
SAFE_PYARROW = 15  # versions before 14.0.1 unpickle what a file holds (CVE-2023-47248)
MOST_ROWS = 20_000_000
BATCH = 1024  # rows unpacked at once
LARGEST_BATCH = 256 << 20  # bytes, if each row is as large as all that is stored
TOO_MUCH = f"it has over {MOST_ROWS:,} rows, or paths of over {LARGEST_COLUMN >> 20} MiB"


def find_objects(uri: str, extensions: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """The images that a URI names: an object, a folder, or a pattern.

    Args:
        uri: An object of one of the extensions is taken as it is, whether it is there or not.
        extensions: Of images.

    Returns:
        The URI of each image with its path below the folder (its name, of a pattern), in order;
        and other objects that were found.

    Raises:
        ImageNotFoundError: There are no images.
        UnreadableImageError: The store cannot be read.
    """
    shown, name = show_path(uri), PurePosixPath(uri).name
    if uri.lower().endswith(tuple(extensions)) and not glob.has_magic(uri):
        return [(uri, name)], []
    if glob.has_magic(uri):
        start = uri[: min(uri.index(c) for c in "*?[" if c in uri)].rpartition("/")[0]
        found = [each for each in list_objects(start) if _matches(each, uri)]
        relative = {each: PurePosixPath(each).name for each in found}
    else:
        start = uri.rstrip("/")
        relative = {each: each[len(start) + 1 :] for each in list_objects(start)}
    images = [(each, path) for each, path in relative.items() if _is_image(each, extensions)]
    if not images:
        raise ImageNotFoundError(
            f"{shown} has no images. Expected objects named {', '.join(extensions)}."
        )
    named = {each for each, _ in images}
    return images, [each for each in relative if each not in named and ".seg." not in each]


def read_uris(source: str) -> list[str]:
    """The paths and URIs in a Parquet file, each once.

    Raises:
        InputError: It cannot be read, is too large, or has no column of them.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            f"{show_path(source)} needs pyarrow, which is not installed. Run: pip install pyarrow"
        ) from error
    if int(pa.__version__.partition(".")[0]) < SAFE_PYARROW:
        raise InputError(
            f"{show_path(source)} is not read by pyarrow {pa.__version__}, in which a Parquet file "
            "can run code. Run: pip install -U pyarrow"
        )
    rule = f"Give a Parquet file with paths or URIs in a column {' or '.join(COLUMNS)}."
    read = read_object if is_object(source) else read_file
    try:
        return _unique_texts(read(source, LARGEST_PARQUET))
    except (OSError, ValueError, pa.ArrowException, MemoryError) as error:
        if isinstance(error, EasysegError):
            raise
        reason = os_reason(error) if isinstance(error, OSError) else _first_line(error)
        raise InputError(f"Cannot read the list {show_path(source)}: {reason}. {rule}") from error


def _unique_texts(content: bytes) -> list[str]:
    """The values of the column of paths; each is in memory once, however many rows have it."""
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    file = parquet.ParquetFile(io.BytesIO(content))
    names = file.schema_arrow.names
    column = next((name for name in COLUMNS if name in names), None)
    if column is None or names.count(column) > 1:
        raise ValueError(f"it has the columns {', '.join(names)}"[:400])
    kind = file.schema_arrow.field(column).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise ValueError(f"{column} holds {kind}, not text")
    largest = _require_size(file.metadata, len(content))
    packed = parquet.ParquetFile(io.BytesIO(content), read_dictionary=[column])
    try:
        return _unique(packed, column, BATCH)
    except (pa.ArrowNotImplementedError, OSError):  # not implemented for all encodings
        return _unique(file, column, max(1, min(BATCH, LARGEST_BATCH // largest)))


def _unique(file: Any, column: str, batch_rows: int) -> list[str]:
    import pyarrow as pa  # noqa: PLC0415

    texts: dict[str, None] = {}
    rows, size = 0, 0
    for batch in file.iter_batches(batch_rows, columns=[column]):
        values = batch.column(0)
        if values.null_count:
            raise ValueError(f"{column} has rows without a value")
        if pa.types.is_dictionary(values.type):
            values = values.dictionary.take(values.indices.unique())
        rows += len(batch)
        for text in values.to_pylist():
            if not text:
                raise ValueError(f"{column} has rows without a value")
            if text not in texts:
                texts[text] = None
                size += len(text)
        if rows > MOST_ROWS or size > LARGEST_COLUMN:
            raise ValueError(TOO_MUCH)
    return list(texts)


def _require_size(metadata: Any, size: int) -> int:
    """Compares what the file declares before anything is unpacked; gives its largest group's bytes.

    Of whole groups of rows: on damaged ones pyarrow's metadata of a column ends the process.
    """
    sizes = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
    if sum(sizes) > max(LARGEST_COLUMN, EXPANSION * size) or metadata.num_rows > MOST_ROWS:
        raise ValueError(TOO_MUCH)
    return max([1, *sizes])


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0].rstrip(". ") or type(error).__name__


def _matches(uri: str, pattern: str) -> bool:
    """As glob does: `*` stays within a folder, `**/` is any number of folders."""
    return any(
        len(parts) == len(each) and all(map(fnmatch.fnmatchcase, parts, each))
        for parts in [uri.split("/")]
        for each in _spread(pattern.split("/"), len(parts))
    )


def _spread(pattern: list[str], length: int) -> list[list[str]]:
    """The pattern with `**` as so many `*` as make it as long."""
    if "**" not in pattern:
        return [pattern]
    missing, position = length - len(pattern) + 1, pattern.index("**")
    return [
        whole
        for count in range(missing + 1)
        for whole in _spread(
            [*pattern[:position], *["*"] * count, *pattern[position + 1 :]], length
        )
    ]


def _is_image(uri: str, extensions: Sequence[str]) -> bool:
    return uri.lower().endswith(tuple(extensions)) and not Path(uri).stem.endswith(".seg")
