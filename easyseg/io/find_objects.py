"""Which images a URI of an object store names, and lists of them in Parquet files."""

from __future__ import annotations

import fnmatch
import glob
import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from easyseg.errors import ImageNotFoundError, InputError, os_reason, show_path
from easyseg.io.remote import is_object, list_objects, read_object
from easyseg.utils.files import read_file

LIST_OF_URIS = ".parquet"
COLUMNS = ("path", "uri", "url", "source", "image")  # of a Parquet file, the first that it has
LARGEST_PARQUET = 2 << 30  # bytes


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
    """The paths and URIs in a Parquet file.

    Raises:
        InputError: It cannot be read, or has no column of them.
    """
    try:
        from pyarrow import ArrowInvalid, parquet  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            f"{show_path(source)} needs pyarrow, which is not installed. Run: pip install pyarrow"
        ) from error
    rule = f"Give a Parquet file with paths or URIs in a column {' or '.join(COLUMNS)}."
    try:
        read = read_object if is_object(source) else read_file
        file = parquet.ParquetFile(io.BytesIO(read(source, LARGEST_PARQUET)))
        names = file.schema_arrow.names
        column = next((name for name in COLUMNS if name in names), None)
        if column is None:
            raise InputError(f"{show_path(source)} has the columns {', '.join(names)}. {rule}")
        values: list[object] = file.read([column])[column].to_pylist()
    except (OSError, ArrowInvalid) as error:
        reason = os_reason(error) if isinstance(error, OSError) else str(error)
        raise InputError(f"Cannot read the list {show_path(source)}: {reason}. {rule}") from error
    if not all(isinstance(value, str) and value for value in values):
        raise InputError(f"{show_path(source)} has values that are not text in {column}. {rule}")
    return [str(value) for value in values]


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
