"""The checkpoint out of a tar archive, and nothing else."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PureWindowsPath

from easyseg.errors import WeightsError

__all__ = ["extract_checkpoint"]


def extract_checkpoint(archive: Path, folder: Path, *, source: str) -> Path:
    """Puts the TensorFlow checkpoint of a .tar.gz into a folder.

    Args:
        archive: The .tar.gz file.
        folder: An empty folder.
        source: What messages call the archive: its address, or the path that the user gave.

    Returns:
        The checkpoint's prefix, as TensorFlow wants it: `folder/model.ckpt-30000`.

    Raises:
        WeightsError: A member is not safe to extract, there is not exactly one checkpoint, or
            the archive is damaged. What was extracted until then stays in `folder`.
    """
    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            members = [_checked(member, source) for member in tar]
            prefix = _only_prefix([member.name for member in members], source)
            for member in members:
                if member.name.startswith((f"{prefix}.index", f"{prefix}.data-")):
                    _extract(tar, member, folder)
            while stream.read(1 << 20):  # to the end, where gzip compares its checksum
                pass
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise WeightsError(
            f"{source} is damaged or incomplete ({error}); download it again."
        ) from error
    return folder / _base(prefix)


def _checked(member: tarfile.TarInfo, source: str) -> tarfile.TarInfo:
    path = PureWindowsPath(member.name)  # knows both kinds of slash, and drives
    if path.anchor or ".." in path.parts or not (member.isfile() or member.isdir()):
        raise WeightsError(
            f"{source} was refused: its member {member.name!r} is a link or device or leads out "
            "of the archive. Get the file from its publisher again."
        )
    return member


def _only_prefix(names: list[str], source: str) -> str:
    prefixes = [
        name.removesuffix(".index")
        for name in names
        if name.endswith(".index") and not _base(name).startswith("._")  # macOS metadata
    ]
    found = [p for p in prefixes if any(name.startswith(f"{p}.data-") for name in names)]
    if len(found) != 1:
        raise WeightsError(
            f"{source} holds {', '.join(found) or 'no TensorFlow checkpoint'}; it must hold one "
            "checkpoint, that is one *.index file and its *.data-* files."
        )
    return found[0]


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    source = tar.extractfile(member)
    if source is not None:  # a folder has no content
        with source, (folder / _base(member.name)).open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)


def _base(name: str) -> str:
    return PureWindowsPath(name).name
