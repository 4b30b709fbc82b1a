"""The checkpoint in a tar archive, and nothing else of it."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from easyseg.errors import WeightsError

__all__ = ["extract_checkpoint"]


def extract_checkpoint(archive: Path, folder: Path, *, source: str) -> Path:
    """Extracts the TensorFlow checkpoint of a .tar.gz into a folder.

    `source` is the archive's name in messages.

    Returns:
        The checkpoint's prefix: `folder/model.ckpt-30000`.

    Raises:
        WeightsError: The archive does not hold exactly one checkpoint, or is damaged. Files that
            were extracted before stay in `folder`.
    """
    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            files = {member.name: member for member in tar if member.isfile()}
            prefix = _only_prefix(list(files), source)
            for name, member in files.items():
                if name.startswith((f"{prefix}.index", f"{prefix}.data-")):
                    flat = member.replace(name=PurePosixPath(name).name)
                    tar.extract(flat, folder, filter="data")
            while stream.read(1 << 20):  # to the end, where gzip compares its checksum
                pass
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise WeightsError(
            f"{source} is damaged or incomplete ({error}); download it again."
        ) from error
    return folder / PurePosixPath(prefix).name


def _only_prefix(names: list[str], source: str) -> str:
    prefixes = [
        name.removesuffix(".index")
        for name in names
        if name.endswith(".index") and not PurePosixPath(name).name.startswith("._")  # of macOS
    ]
    whole = [p for p in prefixes if any(name.startswith(f"{p}.data-") for name in names)]
    if len(whole) != 1:
        raise WeightsError(
            f"{source} holds {', '.join(whole) or 'no TensorFlow checkpoint'}; expected one "
            "checkpoint, that is one *.index file and its *.data-* files."
        )
    return whole[0]
