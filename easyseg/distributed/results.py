"""Joins the results logs of shards into the one that a single run would have written."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from easyseg.distributed.shards import RunCheck, complete_files, name_shards, whole_file
from easyseg.errors import InputError, show_path
from easyseg.inference.folder import RESULTS_LOG
from easyseg.inference.results_log import PART, encode_line, read_lines
from easyseg.io.atomic import new_file, output_errors, remove_leftovers
from easyseg.io.shards import Shard
from easyseg.utils.documents import parse_json
from easyseg.utils.validation import checked

MOST_IMAGES = 200_000_000


@dataclasses.dataclass(frozen=True)
class MergedResults:
    """Counts of a run in shards.

    Attributes:
        done: Images segmented.
        failed: `(source, message)` of each image that could not be read or written.
        shards: Number of shards.
        jsonl: The results log.
    """

    done: int
    failed: tuple[tuple[str, str], ...]
    shards: int
    jsonl: Path

    def __str__(self) -> str:
        failed = f", {len(self.failed)} failed" if self.failed else ""
        shards = f"{self.shards} shard{'s' * (self.shards > 1)}"
        total = self.done + len(self.failed)
        return f"{self.done} of {total} done{failed} in {shards} -> {self.jsonl}"


@checked
def merge_results(out: str | os.PathLike[str]) -> MergedResults:
    """Joins the results logs of all shards of a run, in the order of the images.

    The lines are those of a single run. The logs of the shards stay, so that these can be resumed.

    Args:
        out: The folder in which the logs lie (`results-1-of-16.jsonl`, ...), where `results.jsonl`
            is written; or the log to write, if the shards were given another `jsonl`.

    Raises:
        InputError: A shard is missing or has not finished; or the logs are of different settings,
            different images or numbers of shards, or contradict each other.
        OutputError: The log cannot be written.
    """
    whole = whole_file(out, RESULTS_LOG)
    files = complete_files(whole)
    next(read_lines(whole), None)  # another file is not overwritten
    remove_leftovers(whole.parent)
    with output_errors(whole), tempfile.TemporaryFile(dir=whole.parent) as lines:
        merged = _Lines(lines)
        for shard, path in files.items():
            merged.add(path, shard)
        merged.require_all(whole, files)
        with new_file(whole) as file:
            file.writelines(merged.in_order())
    return MergedResults(merged.done, tuple(merged.failed), len(files), whole)


class _Lines:
    """Lines of all shards: the text in a file, and in memory only where in it each one is."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = 1
        self._starts = np.zeros(0, np.int64)  # by position of the image, from 1; 0 without a line
        self._run = RunCheck()
        self._finished: Counter[Shard] = Counter()
        self._expected: dict[Shard, int] = {}
        self._failed: dict[int, tuple[str, str]] = {}

    @property
    def failed(self) -> list[tuple[str, str]]:
        return [self._failed[position] for position in sorted(self._failed)]

    @property
    def done(self) -> int:
        return len(self._starts) - len(self._failed)

    def add(self, path: Path, shard: Shard) -> None:
        for values in read_lines(path):
            part = values.pop(PART, None)
            if not _is_part(part) or not isinstance(values["settings"], dict):
                raise InputError(
                    f"{show_path(path)} is not the log of a shard, by its line of "
                    f"{show_path(str(values['source']))}. Remove it, and run shard {shard}."
                )
            self._run.add(path, shard, part, values["settings"])
            if not self._expected:
                self._starts = np.zeros(part["all_images"], np.int64)
            self._expected[shard] = part["images"]
            if not self._starts[part["index"]]:
                self._keep(part["index"], values)
                self._finished[shard] += 1
            elif _comparable(self._read(part["index"])) != _comparable(values):
                raise InputError(
                    f"{show_path(path)} contradicts an earlier line on "
                    f"{show_path(str(values['source']))}. Remove it, and run shard {shard} again."
                )

    def require_all(self, whole: Path, files: Mapping[Shard, Path]) -> None:
        """Raises InputError where images have no line."""
        if not self._expected:
            raise InputError(
                f"all logs of shards for {show_path(whole)} are empty: no image was finished. "
                "Resume the shards, then merge again."
            )
        if self._starts.all():
            return
        unfinished = [s for s, count in self._expected.items() if self._finished[s] < count]
        known = sum(self._expected.values())
        if known < len(self._starts):  # a log without lines does not say how many it lacks
            unfinished += [shard for shard in files if shard not in self._expected]
        missing = int((self._starts == 0).sum())
        raise InputError(
            f"{missing:,} of {len(self._starts):,} images of {show_path(whole)} are not done: "
            f"{name_shards(sorted(unfinished or files))} did not finish. Resume, then merge again."
        )

    def in_order(self) -> Iterator[bytes]:
        for start in self._starts:
            self._file.seek(int(start) - 1)
            yield self._file.readline()

    def _keep(self, position: int, values: Mapping[str, Any]) -> None:
        line = encode_line(values)
        self._file.seek(self._end - 1)
        self._file.write(line)
        self._starts[position] = self._end
        self._end += len(line)
        if "error" in values:
            self._failed[position] = str(values["source"]), str(values["error"])

    def _read(self, position: int) -> dict[str, Any]:
        self._file.seek(int(self._starts[position]) - 1)
        values: dict[str, Any] = parse_json(self._file.readline())
        return values


def _is_part(values: Any) -> bool:
    """Whether it is what `describe_part` gives."""
    if not isinstance(values, dict):
        return False
    index, own, total = (values.get(name) for name in ("index", "images", "all_images"))
    if type(index) is not int or type(own) is not int or type(total) is not int:
        return False
    texts = (values.get(name) for name in ("shard", "all_names"))
    in_range = 0 <= index < total <= MOST_IMAGES and 1 <= own <= total
    return in_range and all(isinstance(text, str) for text in texts)


def _comparable(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "milliseconds"}
