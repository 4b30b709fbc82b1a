"""The results log of a run: a JSON object for each image, so that a later run can resume."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from easyseg.errors import InputError, OutputError, os_reason
from easyseg.io.atomic import new_file
from easyseg.io.find_images import Job
from easyseg.io.remote import RemotePath
from easyseg.io.shards import Part
from easyseg.utils.documents import parse_json
from easyseg.utils.files import require_ordinary

FIRST_BYTES = b'{"source": '
LONGEST_LINE = 16 << 20  # bytes; what is longer is no line of a log
PART = "part"  # key of the lines of a shard's log: which image of which shard it is


def begin(
    jobs: Sequence[Job],
    path: Path,
    settings: Mapping[str, Any],
    *,
    resume: bool,
    part: Part | None = None,
) -> list[Job]:
    """Starts the results log of a run.

    Args:
        jobs: The images and their results.
        path: The log. Lines of an earlier run stay, unless their images are done again; in a
            shard's log those of its images alone.
        settings: What the results depend on, as plain values.
        part: Which images of a run in shards these are.
        resume: Whether images are skipped that were done with the same settings and whose result
            exists and is not older; otherwise no line stays.

    Returns:
        The jobs to do.

    Raises:
        InputError: The file is something else, or cannot be read.
        OutputError: It cannot be written.
    """
    next(read_lines(path), None)  # also without resume: another file is not overwritten
    done = {_key(e) for e in _earlier(path, resume=resume) if e["settings"] == settings}
    todo = [job for job in jobs if _job_key(job) not in done or not _is_up_to_date(job)]
    sources = {job.image.source for job in todo}
    results = {str(job.target) for job in todo}
    of_part = {_job_key(job): job for job in jobs} if part is not None else {}
    with new_file(path) as file:  # line by line: a log may have millions
        for entry in _earlier(path, resume=resume):
            job = of_part.get(_key(entry))
            if entry["source"] in sources or str(entry.get("result")) in results:
                continue
            if part is None:
                file.write(encode_line(entry))
            elif job is not None:
                file.write(encode_line(entry | describe_part(part, job)))
    return todo


def _earlier(path: Path, *, resume: bool) -> Iterator[dict[str, Any]]:
    return read_lines(path) if resume else iter(())


def _key(entry: Mapping[str, Any]) -> tuple[str, str]:
    return entry["source"], str(entry.get("result"))


def _job_key(job: Job) -> tuple[str, str]:
    return job.image.source, str(job.target)


def describe_part(part: Part | None, job: Job) -> dict[str, Any]:
    """What a line of a shard's log says of its image's place in the whole run."""
    return {} if part is None else {PART: {**part.to_dict(), "index": job.position}}


def append_line(path: Path, values: Mapping[str, Any]) -> None:
    """Adds a line, "source" first; the file is closed at once, so a kill leaves whole lines."""
    try:
        with path.open("ab") as file:
            file.write(encode_line(values))
    except OSError as error:
        raise OutputError(
            f"Cannot write {path}: {os_reason(error)}. Free disk space, then resume."
        ) from error


def done_lines(path: Path, settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The lines of images that are done with these settings."""
    settings = parse_json(json.dumps(settings))  # as the lines have them
    return (e for e in read_lines(path) if e["settings"] == settings and is_result(e))


def is_result(line: Mapping[str, Any]) -> bool:
    """Whether the line says what is in a result: not a failed image's, nor one made up."""
    classes, spent = line.get("classes"), line.get("milliseconds", {})
    return (
        all(_is_side(line.get(side)) for side in ("width", "height"))
        and isinstance(line.get("result"), str)
        and isinstance(classes, list)
        and all(isinstance(each, dict) and _is_area(each) for each in classes)
        and isinstance(spent, dict)
        and all(isinstance(value, int | float) for value in spent.values())
    )


def _is_side(value: Any) -> bool:
    return isinstance(value, int) and 0 < value < 1 << 31


def _is_area(entry: Mapping[str, Any]) -> bool:
    return (
        isinstance(entry.get("id"), int)
        and isinstance(entry.get("name"), str)
        and isinstance(entry.get("ratio"), int | float)
    )


def encode_line(values: Mapping[str, Any]) -> bytes:
    """A line of the log."""
    return json.dumps(values).encode("ascii") + b"\n"  # escapes hold any file name


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of an earlier run, without one that was cut off when the run was killed."""
    if not os.path.lexists(path):
        return
    try:
        require_ordinary(path)
        with path.open("rb") as file:
            if not FIRST_BYTES.startswith(file.read(len(FIRST_BYTES))):
                raise InputError(
                    f"{path} exists and is not a results log. Choose another jsonl file, or move "
                    "this one away."
                )
            file.seek(0)
            for line in iter(lambda: file.readline(LONGEST_LINE), b""):
                if not line.startswith(b"{"):
                    continue
                with contextlib.suppress(ValueError):
                    values = parse_json(line)
                    if isinstance(values, dict) and _is_line(values):
                        yield values
    except OSError as error:
        raise InputError(
            f"Cannot read {path}: {os_reason(error)}. Choose another jsonl file."
        ) from error


def _is_line(values: Mapping[str, Any]) -> bool:
    return "settings" in values and isinstance(values.get("source"), str)


def _is_up_to_date(job: Job) -> bool:
    """Whether the result exists and is not older than the image; of objects, the log says it."""
    if isinstance(job.target, RemotePath):
        return True
    try:
        written = job.target.stat().st_mtime_ns
        is_web = "://" in job.image.source
        return is_web or written >= Path(job.image.source).stat().st_mtime_ns
    except OSError:
        return False
