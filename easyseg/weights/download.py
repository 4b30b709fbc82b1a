"""Downloads that go on where they broke off."""

from __future__ import annotations

import itertools
import logging
import time
from typing import TYPE_CHECKING

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError as TransportError

from easyseg.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["download"]

TIMEOUT = (10, 60)  # seconds: to connect, between two pieces
PAUSES = (1, 3)  # seconds before the second and the third try
PIECE = 1 << 16  # bytes; at most this much is lost when a connection breaks
TOO_MANY_REQUESTS = 429

logger = logging.getLogger(__name__)


def download(url: str, file: Path, *, part: Path, magic: bytes, progress: bool) -> None:
    """Downloads a file, going on from what earlier calls left in `part`.

    Args:
        url: Address.
        file: Where the whole file goes, on the same disk as `part`.
        part: Where it grows; what arrived stays there if the download fails.
        magic: First bytes of a file of the right kind.
        progress: Shows a progress bar.

    Raises:
        DownloadError: The file could not be had; the message says why, as half a sentence.
    """
    for pause in (*PAUSES, None):
        try:
            _go_on(url, part, magic, progress)
            break
        except (requests.RequestException, TransportError) as error:
            if pause is None or not _may_pass(error):
                raise DownloadError(f"{url}: {_reason(error)}{_arrived(part)}") from error
            logger.info("%s: %s; trying again in %s s", url, _reason(error), pause)
            time.sleep(pause)
    part.replace(file)
    _version_file(part).unlink()


def _go_on(url: str, part: Path, magic: bytes, progress: bool) -> None:
    have, version = _state(part)
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code in (206, 416) and have:
            if not _continues(response, have, version):
                part.unlink()
                return _go_on(url, part, magic, progress)
            if response.status_code == 416:  # all of it was there
                return None
        response.raise_for_status()
        response.raw.enforce_content_length = True  # urllib3 1 takes a cut connection for the end
        pieces = response.raw.stream(PIECE, decode_content=False)
        if response.status_code != 206 or not have:
            have = 0
            pieces = _from_start(response, pieces, part, magic)
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab") as file, _bar(url, have, total, progress) as bar:
            for piece in pieces:
                bar.update(file.write(piece))
    return None


def _bar(url: str, have: int, total: int | None, progress: bool) -> tqdm:
    return tqdm(
        desc=url.rpartition("/")[2],
        initial=have,
        total=total,
        unit="B",
        unit_scale=True,
        disable=not progress,
    )


def _from_start(
    response: requests.Response, pieces: Iterator[bytes], part: Path, magic: bytes
) -> Iterator[bytes]:
    """Throws the old part away, but only if the new first piece looks right."""
    first = next(pieces, b"")
    if not first.startswith(magic):
        what = "a web page" if first.lstrip().startswith(b"<") else "something else"
        raise DownloadError(
            f"{response.url}: {what} came instead of the file (it begins with {first[:16]!r}); "
            "a proxy or login page may stand in between"
        )
    part.unlink(missing_ok=True)
    _version_file(part).write_text(_version(response), encoding="utf-8")
    return itertools.chain([first], pieces)


def _state(part: Path) -> tuple[int, str]:
    """Bytes to go on from, and the version of the remote file that they belong to."""
    if not (part.exists() and _version_file(part).exists()):
        return 0, ""
    version = _version_file(part).read_text(encoding="utf-8")
    return (part.stat().st_size if version else 0), version


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _version(response: requests.Response) -> str:
    etag = str(response.headers.get("ETag", ""))
    if etag and not etag.startswith("W/"):  # If-Range takes no weak ones
        return etag
    return str(response.headers.get("Last-Modified", ""))


def _continues(response: requests.Response, have: int, version: str) -> bool:
    content_range = response.headers.get("Content-Range", "")
    if response.status_code == 416:
        return content_range == f"bytes */{have}"
    return content_range.startswith(f"bytes {have}-") and _version(response) in ("", version)


def _may_pass(error: Exception) -> bool:
    if isinstance(error, requests.HTTPError):
        status = error.response.status_code
        return status >= 500 or status == TOO_MANY_REQUESTS
    return True


_REASONS = (
    (requests.exceptions.ProxyError, "the proxy does not answer"),
    (requests.exceptions.SSLError, "the server's certificate was not accepted"),
    (requests.exceptions.Timeout, "the server does not answer (timeout)"),
    (requests.exceptions.ConnectionError, "no connection to the server"),
    (TransportError, "the connection broke"),
)


def _reason(error: Exception) -> str:
    if isinstance(error, requests.HTTPError):
        return f"the server answered {error.response.status_code} {error.response.reason}"
    return next((text for kind, text in _REASONS if isinstance(error, kind)), str(error))


def _arrived(part: Path) -> str:
    have, _ = _state(part)
    if not have:
        return ""
    return f"; {have / 1e6:.1f} MB have arrived, the same command goes on from there"
