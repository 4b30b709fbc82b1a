"""Extracts only the checkpoint from a tar archive."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from easyseg.errors import WeightsError

LARGEST = 1 << 30  # bytes that an archive may unpack to,
EXPANSION = 16  # or this many for each of its own, if that is more
MEMBERS = 1000  # files in it
CHUNK = 1 << 20  # bytes read at once

DAMAGE = (
    *(tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError),
    *(ValueError, OverflowError, RecursionError),
)
"""What damaged archives raise; not `OSError`, which a full disk raises."""


def extract_checkpoint(archive: Path, folder: Path, *, source: str) -> Path:
    """Extracts the TensorFlow checkpoint of a .tar.gz into a folder.

    `source` is the archive's name in messages.

    Returns:
        The checkpoint's prefix: `folder/model.ckpt-30000`.

    Raises:
        WeightsError: The archive does not hold exactly one checkpoint, is damaged, or is far
            larger once it is unpacked. Files that were extracted before stay in `folder`.
    """
    try:
        with gzip.open(archive) as unpacked:
            stream = _Bounded(unpacked, max(LARGEST, EXPANSION * archive.stat().st_size))
            with tarfile.open(fileobj=stream, mode="r:") as tar:  # type: ignore[call-overload]
                files = _files(tar, stream.most)
                prefix = _only_prefix(list(files), source)
                for name, member in files.items():
                    if name.startswith((f"{prefix}.index", f"{prefix}.data-")):
                        flat = member.replace(name=PurePosixPath(name).name)
                        tar.extract(flat, folder, filter="data")
            while stream.read(CHUNK):  # to the end, where gzip compares its checksum
                pass
    except DAMAGE as error:
        raise WeightsError(
            f"{source} is damaged or incomplete ({error}); download it again."
        ) from error
    return folder / PurePosixPath(prefix).name


class _Bounded:
    """A stream that gives no more than `most` bytes in all, and few at once."""

    def __init__(self, stream: gzip.GzipFile, most: int) -> None:
        self.stream, self.most, self.tell = stream, most, stream.tell

    def read(self, size: int) -> bytes:
        """The next bytes; a header never has as many as a chunk."""
        if size > CHUNK:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self._require(self.stream.tell())
        return self.stream.read(size)

    def seek(self, position: int) -> int:
        """Goes to a position; all before it is unpacked."""
        self._require(position)
        return self.stream.seek(position)

    def _require(self, position: int) -> None:
        if position > self.most:
            raise tarfile.ReadError(f"it unpacks to more than {self.most >> 20} MiB")


def _files(tar: tarfile.TarFile, most: int) -> dict[str, tarfile.TarInfo]:
    """The files of an archive by name, none of which has been unpacked."""
    files = {}
    for number, member in enumerate(tar):
        if number == MEMBERS:
            raise tarfile.ReadError(f"it has more than {MEMBERS} files")
        if member.isfile():
            files[member.name] = member
    if sum(member.size for member in files.values()) > most:  # sparse files have no such bytes
        raise tarfile.ReadError(f"its files have more than {most >> 20} MiB")
    return files


def _only_prefix(names: list[str], source: str) -> str:
    prefixes = [
        name.removesuffix(".index")
        for name in names
        if name.endswith(".index") and not PurePosixPath(name).name.startswith("._")  # of macOS
    ]
    whole = [p for p in prefixes if any(name.startswith(f"{p}.data-") for name in names)]
    if len(whole) != 1:
        raise WeightsError(
            f"{source} holds {len(whole) or 'no'} TensorFlow checkpoints, but must hold one. "
            "Choose the archive as it was published."
        )
    return whole[0]
