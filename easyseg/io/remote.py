"""Files of object stores: s3://, gs://, and whatever else pyarrow opens by its URI.

Credentials, regions and endpoints are those of the environment (`AWS_ACCESS_KEY_ID`,
`AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`, ...); easyseg neither asks for them nor stores
them.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from easyseg.errors import (
    EasysegError,
    ImageNotFoundError,
    ImageTooLargeError,
    InputError,
    OutputError,
    UnreadableImageError,
    show_path,
)

HTTP = ("http", "https")
EXAMPLES = "s3://bucket/folder or gs://bucket/folder"


class RemotePath(PurePosixPath):
    """The path of a URI such as `s3://bucket/folder/a.png`, which is written as one."""

    def __str__(self) -> str:
        return re.sub(r"^([\w.+-]+):/(?!/)", r"\1://", super().__str__())


def scheme_of(source: object) -> str:
    """The scheme of a URI, in lower case; "" for a path of this computer."""
    match = re.match(r"([A-Za-z][\w.+-]+)://", str(source))
    return match[1].lower() if match else ""


def path_of_url(url: str) -> str:
    """The path in a URL; "" for a malformed one, which whoever opens it reports."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def is_object(source: object) -> bool:
    """Whether it is the URI of an object store, not a path and not of the web."""
    return scheme_of(source) not in ("", *HTTP)


def read_object(uri: str, most: int) -> bytes:
    """The content of an object of at most `most` bytes.

    Raises:
        ImageNotFoundError: There is none.
        ImageTooLargeError: It has more bytes.
        UnreadableImageError: It cannot be read.
        InputError: The URI is of a kind that is not known, or pyarrow is not installed.
    """
    shown = show_path(uri)
    try:
        system, path = _open(uri)
        with system.open_input_file(path) as file:
            if file.size() > most:
                raise ImageTooLargeError(
                    f"Cannot read {shown}: it is larger than {most >> 20} MB. Download it yourself "
                    "and give its path."
                )
            content: bytes = file.read(most)
    except FileNotFoundError as error:
        raise ImageNotFoundError(
            f"Cannot read {shown}: it does not exist. Check the URI."
        ) from error
    except EasysegError:
        raise
    except OSError as error:
        raise UnreadableImageError(f"Cannot read {shown}: {_reason(error)}") from error
    return content


def write_object(uri: str, content: bytes) -> None:
    """Writes an object, which is there completely or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    with output_errors(uri):
        system, path = _open(uri)
        with system.open_output_stream(path) as stream:
            stream.write(content)


def delete_folder(uri: str) -> None:
    """Deletes a folder with all objects in it, if there is one.

    Raises:
        OutputError: It cannot be deleted.
    """
    with output_errors(uri), contextlib.suppress(FileNotFoundError):
        system, path = _open(uri)
        system.delete_dir(path)


def list_objects(uri: str) -> list[str]:
    """URIs of all objects below a folder, sorted; none if there is no such folder.

    Raises:
        UnreadableImageError: The folder cannot be read.
    """
    try:
        system, path = _open(uri)
        from pyarrow import fs  # noqa: PLC0415  (after `_open`, which says it where it is missing)

        selector = fs.FileSelector(path, recursive=True, allow_not_found=True)
        paths = [each.path for each in system.get_file_info(selector) if each.is_file]
    except OSError as error:
        raise UnreadableImageError(f"Cannot read {show_path(uri)}: {_reason(error)}") from error
    return sorted(uri + each[len(path) :] for each in paths)


@contextlib.contextmanager
def output_errors(uri: str) -> Iterator[None]:
    """Turns an error while writing to the URI into an `OutputError` that names it."""
    try:
        yield
    except EasysegError:
        raise
    except OSError as error:
        raise OutputError(f"Cannot write {show_path(uri)}: {_reason(error)}") from error


def _open(uri: str) -> tuple[Any, str]:
    """The file system of a URI, and the path in it."""
    root = "/".join(uri.split("/", 3)[:3])
    system, path = _file_system(root)
    return system, path + uri[len(root) :]


@functools.lru_cache(maxsize=16)
def _file_system(root: str) -> tuple[Any, str]:
    """That of `s3://bucket`; opening it asks the store for the bucket's region."""
    try:
        from pyarrow import ArrowInvalid, fs  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            f"{show_path(root)} needs pyarrow, which is not installed. Run: pip install pyarrow"
        ) from error
    try:
        system, path = fs.FileSystem.from_uri(root)
    except (ArrowInvalid, ValueError, ImportError) as error:
        raise InputError(
            f"Cannot open {show_path(root)}: {_first_line(error)}. Give a path, or a URI such as "
            f"{EXAMPLES}."
        ) from error
    return system, path.rstrip("/")


def _reason(error: Exception) -> str:
    """The reason and the cure, without the words of the store's own library."""
    text = str(error)
    if any(word in text for word in ("ACCESS_DENIED", "Forbidden", "403", "PERMISSION_DENIED")):
        return "access denied. Check the credentials in the environment and the bucket's policy."
    if "NO_SUCH_BUCKET" in text or "404" in text or isinstance(error, FileNotFoundError):
        return "there is no such bucket or folder. Check the URI."
    if any(word in text for word in ("resolve host", "NETWORK_CONNECTION", "connect to")):
        return "no connection to the store. Check the network and AWS_ENDPOINT_URL."
    return f"{_first_line(error)}. Check the URI and the credentials in the environment."


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
