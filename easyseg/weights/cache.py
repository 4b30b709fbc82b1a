"""The cache of weights: downloaded, or imported from a file.

It holds, below `$EASYSEG_HOME` or the user's cache folder:

    weights/<name>/     a checkpoint or .h5 file, and source.json
    downloads/          incomplete downloads, to be resumed
    locks/              so that two processes download once

`source.json` records the URL or path that the weights came from, and the sha256 of the file. Where
the manifest has a hash, a download with another one is refused. Where none is published, a
download is accepted if the archive's own checksum is right and every variable of the network is in
it with the right shape; its sha256 can be compared with another machine's (`easyseg info NAME`).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
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

from easyseg.errors import (
    DownloadError,
    HashMismatchError,
    OfflineError,
    WeightsError,
    WeightsMismatchError,
    os_reason,
)
from easyseg.io.atomic import exchange_folder, remove, restore_folder
from easyseg.utils.documents import parse_json
from easyseg.utils.files import read_file, system_errors
from easyseg.weights.archive import extract_checkpoint
from easyseg.weights.download import download, kind_of

if TYPE_CHECKING:
    from easyseg.weights.manifest import WeightSet

AnyPath = str | os.PathLike[str]
Verify = Callable[[Path], None]

MAGIC = {"tf_checkpoint": b"\x1f\x8b", "keras2_h5": b"\x89HDF"}
KINDS = {"tf_checkpoint": ".tar.gz archive", "keras2_h5": "HDF5 file (.h5)"}
LARGEST_MB = 4000  # of weights whose size is not published

logger = logging.getLogger(__name__)


def cache_home(cache_dir: AnyPath | None = None) -> Path:
    """The cache folder: `cache_dir`, else `$EASYSEG_HOME`, else the user's cache folder."""
    return Path(
        cache_dir or os.environ.get("EASYSEG_HOME") or pooch.os_cache("easyseg")
    ).expanduser()


def cached_weights(entry: WeightSet, *, cache_dir: AnyPath | None = None) -> Path | None:
    """The path for `load_weights` (a checkpoint's prefix or an .h5 file), if it is in the cache."""
    folder = _folder(cache_home(cache_dir), entry)
    restore_folder(folder)
    if entry.file_format == "tf_checkpoint":
        return next((index.with_suffix("") for index in folder.glob("*.index")), None)
    return next(folder.glob("*.h5"), None)


def read_source(weights: Path) -> dict[str, Any]:
    """The source.json beside cached weights: "source", "sha256", "bytes", "when", "imported".

    Raises:
        WeightsError: It is missing or damaged.
    """
    path = weights.with_name("source.json")
    try:
        return {"sha256": "", **parse_json(read_file(path, 1 << 20))}
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path} cannot be read ({error}). Import the weights again, or remove their folder."
        ) from error


def is_offline() -> bool:
    """Whether `EASYSEG_OFFLINE` forbids downloads."""
    return os.environ.get("EASYSEG_OFFLINE", "").strip().lower() in ("1", "true", "yes")


def fetch_weights(
    entry: WeightSet,
    *,
    cache_dir: AnyPath | None = None,
    progress: bool = True,
    verify: Verify | None = None,
) -> Path:
    """Weights from the cache, which are downloaded first if they are not in it.

    `verify` is called with the path of a download before it enters the cache; if it raises, it does
    not. Returns the path for `load_weights`: a checkpoint's prefix or an .h5 file.

    Raises:
        OfflineError: They are not in the cache and `EASYSEG_OFFLINE` is set.
        DownloadError: They could not be downloaded from any URL.
        HashMismatchError: The file does not have the published hash.
        WeightsError: The archive is damaged, or the cache folder cannot be written.
    """
    home = cache_home(cache_dir)
    path = cached_weights(entry, cache_dir=home)
    if path is not None:
        _remove_downloads(entry, home)
        return path
    if is_offline():
        raise OfflineError(
            f"{entry.name} is not in the cache {home} and EASYSEG_OFFLINE forbids downloading it. "
            f"Unset EASYSEG_OFFLINE, or {_by_hand(entry)}."
        )
    with _cache_errors(home), _lock(home, entry):
        path = cached_weights(entry, cache_dir=home)  # another process may have downloaded them
        return path or _download_and_install(entry, home, progress, verify)


def import_weights(
    entry: WeightSet,
    file: AnyPath,
    *,
    cache_dir: AnyPath | None = None,
    verify: Verify | None = None,
) -> Path:
    """Imports weights from a file into the cache; weights of this name there are replaced.

    If the file does not have the published hash, a warning is logged: it may have been repacked.

    Args:
        entry: Which weights the file holds.
        file: The published file: a .tar.gz archive or an .h5 file, as `entry.file_format` says.
        cache_dir: As in `fetch_weights`, and so are `verify` and the result.
        verify: Checks the weights.

    Raises:
        WeightsError: The file is missing, of another kind or damaged, or the cache folder
            cannot be used.
    """
    file = Path(file).expanduser().absolute()
    check_file(entry, file)
    if not _is_published(entry, file):
        logger.warning(
            "%s does not have the published hash of %s, %s; it is imported nevertheless.",
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
    url, file = _download_from_any(entry, home, progress)
    try:
        if not _is_published(entry, file):
            raise HashMismatchError(
                f"{entry.name}: {url} delivered a file with sha256 {pooch.file_hash(file)}, but "
                f"the published hash is {entry.known_hash}. Try again later, or {_by_hand(entry)}."
            )
        record = {"source": url, "imported": False, **_fingerprint(file)}
        return _install(entry, file, home, record, verify)
    finally:
        file.unlink(missing_ok=True)


def _download_from_any(entry: WeightSet, home: Path, progress: bool) -> tuple[str, Path]:
    failures = []
    for url in (entry.url, *entry.mirrors):
        try:
            return url, _download(entry, url, home, progress)
        except DownloadError as error:
            failures.append(str(error))
    raise DownloadError(
        f"{entry.name} could not be downloaded: {'; '.join(failures)}. Try again, or "
        f"{_by_hand(entry)}."
    )


def _download(entry: WeightSet, url: str, home: Path, progress: bool) -> Path:
    file = _download_file(url, home)
    if file.is_file():  # of a process that was killed before it had installed it
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    largest = entry.bytes or int(1.2e6 * (entry.size_mb or LARGEST_MB))
    magic = MAGIC[entry.file_format]
    download(url, file, part=part, magic=magic, largest=largest, progress=progress)
    return file


def _download_file(url: str, home: Path) -> Path:
    return home / "downloads" / f"{hashlib.sha256(url.encode()).hexdigest()[:8]}-{_base(url)}"


def _remove_downloads(entry: WeightSet, home: Path) -> None:
    """Removes what is of no use once the weights are in the cache: failed or killed downloads."""
    for url in (entry.url, *entry.mirrors):
        file = _download_file(url, home)
        for path in file.parent.glob(f"{file.name}*"):
            remove(path)


def _install(
    entry: WeightSet, file: Path, home: Path, record: dict[str, Any], verify: Verify | None
) -> Path:
    """Prepares the weights in a temporary folder, then renames it."""
    target = _folder(home, entry)
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(f".{entry.name}-*"):  # of a process that was killed
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{entry.name}-") as temporary:
        folder = Path(temporary, "new")
        folder.mkdir()
        if entry.file_format == "tf_checkpoint":
            path = extract_checkpoint(file, folder, source=record["source"])
        else:
            path = Path(shutil.copyfile(file, folder / _base(entry.url)))
        if verify:
            try:
                verify(path)
            except WeightsMismatchError as error:  # names the file that the user knows
                raise error.of(record["source"]) from None
        record = {"name": entry.name, "file_format": entry.file_format, **record}
        (folder / "source.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        exchange_folder(folder, target)
    _remove_downloads(entry, home)
    return target / path.name


def _folder(home: Path, entry: WeightSet) -> Path:
    return home / "weights" / entry.name


def _base(url: str) -> str:
    return url.rpartition("/")[2]


def _is_published(entry: WeightSet, file: Path) -> bool:
    """Whether the file has the published hash; true where none is published."""
    if entry.known_hash is None:
        return True
    algorithm, _, digest = entry.known_hash.partition(":")
    return bool(pooch.file_hash(file, alg=algorithm) == digest)


def _fingerprint(file: Path) -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return {"sha256": pooch.file_hash(file), "bytes": file.stat().st_size, "when": now}


def _by_hand(entry: WeightSet) -> str:
    return (
        f"download {entry.url} with a browser and import the file: `easyseg download {entry.name} "
        "FILE`"
    )


def check_file(entry: WeightSet, file: Path) -> None:
    """Raises WeightsError if the file is missing or of another kind than these weights."""
    kind = KINDS[entry.file_format]
    cure = f"Choose the {kind} from {entry.url}."
    with system_errors(WeightsError, file):
        is_file = file.is_file()
    if not is_file:
        what = "is a folder" if file.is_dir() else "does not exist"
        what = "is a pipe or a device" if file.exists() and not file.is_dir() else what
        raise WeightsError(f"{file} {what}. {cure}")
    try:
        with file.open("rb") as opened:
            first = opened.read(16)
    except OSError as error:
        raise WeightsError(f"{file} cannot be read ({error.strerror}). {cure}") from error
    if not first.startswith(MAGIC[entry.file_format]):
        raise WeightsError(
            f"{file}: expected the {kind} of {entry.name}, got {kind_of(first)}. {cure}"
        )


@contextlib.contextmanager
def _cache_errors(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        cure = "Free disk space, or choose" if full else "Choose"
        raise WeightsError(
            f"Cannot write to the cache {home}: {os_reason(error)}. {cure} a folder that you may "
            "write to, as cache_dir= or in EASYSEG_HOME."
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
