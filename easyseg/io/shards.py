"""Shards: the parts of a run that processes or machines do apart, and how their files are named.

Which shard an item belongs to follows from its name alone, so all machines agree without a word.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from easyseg.errors import InputError

MOST_SHARDS = 1_000_000


@dataclasses.dataclass(frozen=True, order=True)
class Shard:
    """The shard `number` (from 1 on) of `count`; written "3/16"."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard of "3/16".

        Raises:
            InputError: The text is something else.
        """
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        shard = cls(int(match[1]), int(match[2])) if match else None
        if shard is None or not shard.exists:
            raise InputError(
                f"shard={text!r} must be k/n with k from 1 to n, such as '3/16', and n at most "
                f"{MOST_SHARDS:,}."
            )
        return shard

    @property
    def exists(self) -> bool:
        """Whether the numbers are in order."""
        return 1 <= self.number <= self.count <= MOST_SHARDS

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def holds(self, name: str) -> bool:
        """Whether the item of this name belongs to the shard."""
        content = name.encode("utf-8", "surrogateescape")
        digest = hashlib.blake2b(content, digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.number - 1

    def file(self, whole: Path) -> Path:
        """Its own file for that of the whole run: `results-3-of-16.jsonl` for `results.jsonl`."""
        return whole.with_name(f"{whole.stem}-{self.number}-of-{self.count}{whole.suffix}")


@dataclasses.dataclass(frozen=True)
class Part:
    """The items of a shard among all of a run.

    Attributes:
        shard: The shard.
        positions: Of its items, among all.
        total: Number of all items.
        digest: Checksum of the names of all items, in order; equal for all shards of a run.
    """

    shard: Shard
    positions: tuple[int, ...]
    total: int
    digest: str

    def to_dict(self) -> dict[str, Any]:
        """What the files of a shard say of it, as plain values."""
        return {
            "shard": str(self.shard),
            "images": len(self.positions),
            "all_images": self.total,
            "all_names": self.digest,
        }


def take_part(names: Sequence[str], shard: Shard) -> Part:
    """Which items belong to a shard.

    Args:
        names: Of all items, the same on all machines. Of names that repeat, each occurrence goes
            its own way; else a list of `*/image.png` would be one shard.
        shard: The shard.
    """
    digest, positions, seen = hashlib.blake2b(digest_size=8), [], Counter[str]()
    for position, name in enumerate(names):
        seen[name] += 1
        own = f"{name}\0{seen[name]}" if seen[name] > 1 else name
        digest.update(own.encode("utf-8", "surrogateescape") + b"\0\0")
        if shard.holds(own):
            positions.append(position)
    return Part(shard, tuple(positions), len(names), digest.hexdigest())


def shard_files(whole: Path) -> dict[Shard, Path]:
    """The files of shards that lie beside `whole`, which would be that of the whole run."""
    number = "([1-9][0-9]{0,6})"
    pattern = re.compile(f"{re.escape(whole.stem)}-{number}-of-{number}{re.escape(whole.suffix)}")
    folder = whole.parent
    names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208  (quicker)
    found = ((name, pattern.fullmatch(name)) for name in names)
    files = {Shard(int(m[1]), int(m[2])): folder / name for name, m in found if m}
    return {shard: path for shard, path in sorted(files.items()) if shard.exists}
