"""Resumable downloads."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from typing import TYPE_CHECKING

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError as TransportError

from easyseg.errors import DownloadError
from easyseg.utils.network import get, network_reason, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TIMEOUT = (10, 60)  # seconds: to connect, between two chunks
PATIENCE = 60  # seconds in which at least a chunk must arrive
PAUSES = (1, 3)  # seconds before the second and the third try
SLOWEST = 16 << 10  # bytes a second, on average of all that is left to be received
STARTING = 600  # seconds beside these, for a small file on a busy server
CHUNK = 1 << 16  # bytes; at most this much is lost when a connection breaks
TOO_MANY_REQUESTS = 429

logger = logging.getLogger(__name__)


def download(
    url: str, file: Path, *, part: Path, magic: bytes, largest: int, progress: bool
) -> None:
    """Downloads a file; an incomplete download in `part` is resumed.

    A server that sends less than `CHUNK` bytes in `PATIENCE` seconds is given up, in whatever part
    of its response; and one that is slower than `SLOWEST` on average, after all tries.

    Args:
        url: What to download.
        file: Where to.
        part: The incomplete file, on the same disk, which is kept if the download fails.
        magic: First bytes of a file of the right kind.
        largest: Bytes that the file has at most.
        progress: Shows a bar.

    Raises:
        DownloadError: The download failed; the message, without a final period, gives the reason.
    """
    deadline = time.monotonic() + STARTING + (largest - _state(part)[0]) / SLOWEST
    for pause in (*PAUSES, None):
        try:
            watched(
                lambda stopped: _resume(url, part, magic, largest, progress, stopped, deadline),
                PATIENCE,
                _growth(part),
            )
            break
        except (requests.RequestException, TransportError, ValueError) as error:
            if pause is None or not _is_temporary(error):
                raise DownloadError(f"{url}: {network_reason(error)}{_received(part)}") from error
            logger.info("%s: %s; trying again in %s s", url, network_reason(error), pause)
            time.sleep(pause)
    part.replace(file)
    _version_file(part).unlink()


def _growth(part: Path) -> Callable[[], bool]:
    """A function that says whether the file has changed since it was called last."""
    sizes = [-1]

    def has_changed() -> bool:
        sizes.append(part.stat().st_size if part.exists() else 0)
        return sizes[-1] != sizes[-2]

    return has_changed


def _resume(
    url: str,
    part: Path,
    magic: bytes,
    largest: int,
    progress: bool,
    stopped: threading.Event,
    deadline: float,
) -> None:
    received, version = _state(part)
    headers = {}
    if received:
        headers = {"Range": f"bytes={received}-", "If-Range": version}
    with get(url, headers=headers, timeout=TIMEOUT) as response:
        if stopped.is_set():
            return None
        if response.status_code in (206, 416) and received:
            if not _continues(response, received, version):
                part.unlink()
                return _resume(url, part, magic, largest, progress, stopped, deadline)
            if response.status_code == 416:  # all of it was there
                return None
        response.raise_for_status()
        response.raw.enforce_content_length = True  # urllib3 1 takes a cut connection for the end
        chunks = response.raw.stream(CHUNK, decode_content=False)
        if response.status_code != 206 or not received:
            received = 0
            chunks = _from_start(response, chunks, part, magic)
        length = response.headers.get("Content-Length", "")
        total = received + int(length) if length.isdecimal() else None
        with part.open("ab") as file, _bar(url, received, total, progress) as bar:
            for chunk in chunks:
                if stopped.is_set():
                    return None
                received += len(chunk)
                if max(received, total or 0) > largest:
                    part.unlink()
                    _version_file(part).unlink()
                    raise DownloadError(
                        f"{url}: the file is larger than it can be ({largest / 1e6:.0f} MB)"
                    )
                bar.update(file.write(chunk))
                if time.monotonic() > deadline and received != total:
                    file.flush()
                    raise DownloadError(
                        f"{url}: the server sends too slowly (under {SLOWEST >> 10} KiB a second)"
                        f"{_received(part)}"
                    )
    return None


def _bar(url: str, received: int, total: int | None, progress: bool) -> tqdm:
    return tqdm(
        desc=url.rpartition("/")[2],
        initial=received,
        total=total,
        unit="B",
        unit_scale=True,
        disable=not progress,
    )


def _from_start(
    response: requests.Response, chunks: Iterator[bytes], part: Path, magic: bytes
) -> Iterator[bytes]:
    """Deletes the old part, but only if the first chunk has the right magic bytes."""
    first = next(chunks, b"")
    if not first.startswith(magic):
        raise DownloadError(
            f"{response.url}: got {kind_of(first)}; a proxy or login page may intercept the "
            "connection"
        )
    part.unlink(missing_ok=True)
    _version_file(part).write_text(_version(response), encoding="utf-8")
    return itertools.chain([first], chunks)


def kind_of(first: bytes) -> str:
    """What a file that is not the expected one seems to be, by its first bytes."""
    return "a web page" if first.lstrip().startswith(b"<") else "another kind of file"


def _state(part: Path) -> tuple[int, str]:
    """Bytes already received, and the version of the remote file that they belong to."""
    if not (part.exists() and _version_file(part).exists()):
        return 0, ""
    version = _version_file(part).read_text(encoding="utf-8")
    return (part.stat().st_size if version else 0), version


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _version(response: requests.Response) -> str:
    etag = str(response.headers.get("ETag", ""))
    if etag and not etag.startswith("W/"):  # If-Range allows no weak ones
        return etag
    return str(response.headers.get("Last-Modified", ""))


def _continues(response: requests.Response, received: int, version: str) -> bool:
    content_range = response.headers.get("Content-Range", "")
    if response.status_code == 416:
        return content_range == f"bytes */{received}"
    return content_range.startswith(f"bytes {received}-") and _version(response) in ("", version)


def _is_temporary(error: Exception) -> bool:
    if isinstance(error, ValueError):  # a malformed address or header
        return False
    if isinstance(error, requests.HTTPError):
        status = error.response.status_code
        return status >= 500 or status == TOO_MANY_REQUESTS
    return True


def _received(part: Path) -> str:
    received, _ = _state(part)
    kept = f"; {received / 1e6:.1f} MB were received and are kept, the next attempt resumes there"
    return kept if received else ""
