"""The files that the shards of a run wrote: all there, once each, and of the same run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from easyseg.errors import InputError, show_path
from easyseg.io.shards import Shard, shard_files

SHOWN = 5  # shards, and settings, that a message names


def whole_file(out: str | os.PathLike[str], name: str) -> Path:
    """The file of the whole run: `out`, or the file `name` in the folder `out`."""
    return Path(out) / name if Path(out).is_dir() else Path(out)


def complete_files(whole: Path) -> dict[Shard, Path]:
    """The files of all shards that lie beside `whole`, in order.

    Raises:
        InputError: There are none, some are missing, or they are of runs in other numbers of
            shards.
    """
    files = shard_files(whole)
    if not files:
        example = show_path(Shard(1, 2).file(whole))
        raise InputError(
            f"there are no files of shards for {show_path(whole)}, such as {example}. "
            "Name the folder into which the shards wrote."
        )
    counts = sorted({shard.count for shard in files})
    if len(counts) > 1:
        examples = (next(p for s, p in files.items() if s.count == count) for count in counts[:2])
        one, other = (show_path(path) for path in examples)
        raise InputError(
            f"{one} and {other} are of runs in {counts[0]} and in {counts[1]} shards. "
            f"Remove the files of the run that you do not want."
        )
    count = counts[0]
    missing = (Shard(k, count) for k in range(1, count + 1) if Shard(k, count) not in files)
    listed = name_shards(missing)
    if listed:
        raise InputError(
            f"{show_path(whole.parent)} has the files of {len(files)} of {count} shards for "
            f"{whole.name}. Run {listed}, then merge again."
        )
    return files


def name_shards(shards: Iterable[Shard]) -> str:
    """As in "shards 3/16, 5/16", with the first few of many; empty for none."""
    names = list(map(str, shards))
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"shard{'s' * (len(names) > 1)} {', '.join(names[:SHOWN])}{more}"


class RunCheck:
    """Compares what the files of shards say of their run.

    Attributes:
        part: What the first file says of it, as `Part.to_dict` gives it; `None` before.
    """

    def __init__(self) -> None:
        self.part: Mapping[str, Any] | None = None
        self._path = Path()
        self._settings: Mapping[str, Any] = {}

    def add(
        self, path: Path, shard: Shard, part: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> None:
        """Takes part and settings of a file, or of a line of it.

        Raises:
            InputError: They are of another shard, other images, or other settings.
        """
        name = show_path(path)
        if part["shard"] != str(shard):
            raise InputError(
                f"{name} belongs to shard {part['shard']} by its content; "
                "it was copied or renamed. "
                f"Remove it, and run shard {shard}."
            )
        if self.part is None:
            self.part, self._path, self._settings = part, path, settings
            return
        first = show_path(self._path)
        if settings != self._settings:
            raise InputError(
                f"{first} and {name} have different settings: "
                f"{_differences(self._settings, settings)}. Run all shards with the same options; "
                "a shard that is run again replaces its file."
            )
        if (part["all_images"], part["all_names"]) != (
            self.part["all_images"],
            self.part["all_names"],
        ):
            counts = f"{self.part['all_images']:,} and {part['all_images']:,}"
            names = "" if self.part["all_images"] != part["all_images"] else ", by other names"
            raise InputError(
                f"{first} and {name} are parts of different sets of images ({counts}{names}). "
                "Resume all shards on the same files, then merge again."
            )


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    pairs = (f"{name} {one.get(name)!r} and {other.get(name)!r}" for name in names[:SHOWN])
    return ", ".join(pairs) + more
