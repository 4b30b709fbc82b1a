"""Weights from the network, or from a file at hand, into the cache.

The cache holds, below `$EASYSEG_HOME` or the user's cache folder:

    weights/<name>/     a checkpoint or .h5 file, and source.json: where it came from
    downloads/          parts of downloads that broke off
    trusted.json        first hashes of files for which none is published
    locks/              so that two processes download once
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pooch
from filelock import FileLock, Timeout

from easyseg.errors import DownloadError, HashMismatchError, OfflineError, WeightsError
from easyseg.weights.archive import extract_checkpoint
from easyseg.weights.download import download
from easyseg.weights.trust import trust, trusted_file, trusted_hash

if TYPE_CHECKING:
    from easyseg.weights.manifest import WeightSet

__all__ = ["cache_home", "cached_weights", "fetch_weights", "import_weights"]

AnyPath = str | os.PathLike[str]
Verify = Callable[[Path], None]

MAGIC = {"tf_checkpoint": b"\x1f\x8b", "legacy_h5": b"\x89HDF"}
KINDS = {"tf_checkpoint": ".tar.gz archive", "legacy_h5": "HDF5 file (.h5)"}

logger = logging.getLogger(__name__)


def cache_home(cache_dir: AnyPath | None = None) -> Path:
    """The cache folder: `cache_dir`, else `$EASYSEG_HOME`, else the user's cache folder."""
    return Path(
        cache_dir or os.environ.get("EASYSEG_HOME") or pooch.os_cache("easyseg")
    ).expanduser()


def cached_weights(entry: WeightSet, *, cache_dir: AnyPath | None = None) -> Path | None:
    """What a loader opens (a checkpoint's prefix or an .h5 file) if it is in the cache."""
    folder = _place(cache_home(cache_dir), entry)
    if entry.file_format == "tf_checkpoint":
        return next((index.with_suffix("") for index in folder.glob("*.index")), None)
    return next(folder.glob("*.h5"), None)


def fetch_weights(
    entry: WeightSet,
    *,
    cache_dir: AnyPath | None = None,
    progress: bool = True,
    verify: Verify | None = None,
) -> Path:
    """Weights from the cache_dir, or else from the network into the cache.

    Args:
        entry: Which weights.
        cache_dir: Cache folder, see `cache_home`.
        progress: Shows a progress bar for a download.
        verify: Is called with the downloaded weights before they enter the cache; what it
            raises keeps them out.

    Returns:
        What a loader opens: a checkpoint's prefix or an .h5 file.

    Raises:
        OfflineError: They are not in the cache and `EASYSEG_OFFLINE` is set.
        DownloadError: No address could deliver them.
        HashMismatchError: The bytes are not those that were published, or those of the first
            download if no hash is published.
        WeightsError: The archive or the cache folder cannot be used.
    """
    home = cache_home(cache_dir)
    path = cached_weights(entry, cache_dir=home)
    if path is not None:
        return path
    if os.environ.get("EASYSEG_OFFLINE", "").strip().lower() in ("1", "true", "yes"):
        raise OfflineError(
            f"{entry.name} is not in the cache {home} and EASYSEG_OFFLINE forbids downloading it. "
            f"Unset EASYSEG_OFFLINE, or {_by_hand(entry)}."
        )
    with _cache_errors(home), _lock(home, entry):
        path = cached_weights(entry, cache_dir=home)  # another process may have been quicker
        return path or _download_and_install(entry, home, progress, verify)


def import_weights(
    entry: WeightSet,
    file: AnyPath,
    *,
    cache_dir: AnyPath | None = None,
    verify: Verify | None = None,
) -> Path:
    """Weights from a file that the user has, into the cache; replaces what is there.

    A hash that is not the published one is only warned about: the file may have been repacked.

    Args:
        entry: Which weights the file holds.
        file: The published file: a .tar.gz archive or an .h5 file, as `entry.file_format` says.
        cache_dir: Cache folder, see `cache_home`.
        verify: As for `fetch_weights`.

    Returns:
        What a loader opens: a checkpoint's prefix or an .h5 file.

    Raises:
        WeightsError: The file is missing, of the wrong kind or damaged, or the cache folder
            cannot be used.
    """
    file = Path(file).expanduser().absolute()
    _require_kind(entry, file)
    if not _is_published(entry, file):
        logger.warning(
            "%s is not the published file of %s, whose hash is %s; it is taken all the same.",
            file,
            entry.name,
            entry.known_hash,
        )
    record = {"source": str(file), "imported": True, **_fingerprint(file)}
    home = cache_home(cache_dir)
    with _cache_errors(home), _lock(home, entry):
        return _install(entry, file, home, record, verify)


def _download_and_install(
    entry: WeightSet, home: Path, progress: bool, verify: Verify | None
) -> Path:
    url, file = _from_first_address(entry, home, progress)
    try:
        fingerprint = _fingerprint(file)
        record = {"source": url, "imported": False, **fingerprint}
        path = _install(entry, file, home, record, verify)
    finally:
        file.unlink()
    if entry.known_hash is None:
        trust(home, url, fingerprint)
    return path


def _from_first_address(entry: WeightSet, home: Path, progress: bool) -> tuple[str, Path]:
    failures = []
    for url in (entry.url, *entry.mirrors):
        try:
            return url, _from_address(entry, url, home, progress)
        except DownloadError as error:
            failures.append(str(error))
    raise DownloadError(
        f"{entry.name} could not be downloaded: {'; '.join(failures)}. Or {_by_hand(entry)}."
    )


def _from_address(entry: WeightSet, url: str, home: Path, progress: bool) -> Path:
    """One address through pooch, which compares the hash and removes a file that fails it."""
    name = f"{hashlib.sha256(url.encode()).hexdigest()[:8]}-{_base(url)}"
    folder = home / "downloads"
    expected = entry.known_hash or trusted_hash(home, url)

    def to_file(url: str, file: str, _: pooch.Pooch) -> None:
        part = folder / f"{name}.part"
        download(url, Path(file), part=part, magic=MAGIC[entry.file_format], progress=progress)

    store = pooch.create(path=folder, base_url="", registry={name: expected}, urls={name: url})
    try:
        return Path(store.fetch(name, downloader=to_file))
    except ValueError as error:
        cure = (
            f"Try again later, or {_by_hand(entry)}."
            if entry.known_hash
            else f"Expected was the hash of your first download from {url}. To trust the new "
            f"file, remove that address from {trusted_file(home)}."
        )
        raise HashMismatchError(f"{entry.name}: {error} {cure}") from error


def _install(
    entry: WeightSet, file: Path, home: Path, record: dict[str, Any], verify: Verify | None
) -> Path:
    """Prepares the weights in a temporary folder, then moves them into place as a whole."""
    place = _place(home, entry)
    place.parent.mkdir(parents=True, exist_ok=True)
    for stale in place.parent.glob(f".{entry.name}-*"):  # of a process that was killed
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{entry.name}-") as temporary:
        folder = Path(temporary, "new")
        folder.mkdir()
        if entry.file_format == "tf_checkpoint":
            path = extract_checkpoint(file, folder, source=record["source"])
        else:
            path = Path(shutil.copyfile(file, folder / _base(entry.url)))
        if verify:
            verify(path)
        record = {"name": entry.name, "file_format": entry.file_format, **record}
        (folder / "source.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        if place.exists():
            place.replace(Path(temporary, "old"))
        folder.replace(place)
    return place / path.name


def _place(home: Path, entry: WeightSet) -> Path:
    return home / "weights" / entry.name


def _base(url: str) -> str:
    return url.rpartition("/")[2]


def _is_published(entry: WeightSet, file: Path) -> bool:
    """Whether the hash is the published one; without one, any file may be."""
    if entry.known_hash is None:
        return True
    algorithm, _, digest = entry.known_hash.partition(":")
    return bool(pooch.file_hash(file, alg=algorithm) == digest)


def _fingerprint(file: Path) -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return {"sha256": pooch.file_hash(file), "bytes": file.stat().st_size, "when": now}


def _by_hand(entry: WeightSet) -> str:
    return f"get {entry.url} in a browser and run `easyseg download {entry.name} --from FILE`"


def _require_kind(entry: WeightSet, file: Path) -> None:
    kind = KINDS[entry.file_format]
    cure = f"Give the {kind} that {entry.url} delivers."
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "does not exist"
        raise WeightsError(f"{file} {what}. {cure}")
    try:
        with file.open("rb") as opened:
            first = opened.read(16)
    except OSError as error:
        raise WeightsError(f"{file} cannot be read ({error.strerror}). {cure}") from error
    if not first.startswith(MAGIC[entry.file_format]):
        raise WeightsError(f"{file} is no {kind}: it begins with {first!r}. {cure}")


@contextlib.contextmanager
def _cache_errors(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WeightsError(
            f"the cache {home} cannot be written ({error}). Make room there, or set EASYSEG_HOME "
            "to a folder with room that you may write to."
        ) from error


@contextlib.contextmanager
def _lock(home: Path, entry: WeightSet) -> Iterator[None]:
    folder = home / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{entry.name}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        logger.info("another process is fetching %s; waiting for it", entry.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
