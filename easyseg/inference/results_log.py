"""The JSON lines of a run: one object for each image, so that a later run can go on."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from easyseg.errors import InputError, OutputError
from easyseg.io.atomic import write_bytes
from easyseg.io.find_images import Job

__all__ = ["append_line", "begin"]

OPENING = b'{"source": '


def begin(
    jobs: Sequence[Job], path: Path, settings: Mapping[str, Any], *, resume: bool
) -> list[Job]:
    """Begins the JSON lines of a run.

    Args:
        jobs: The images and their results.
        path: The file. Lines of an earlier run stay, if their images are not done anew.
        settings: What the results depend on, as plain values.
        resume: Whether images are passed over that were done with the same settings, and whose
            result is there and not older. Else nothing stays.

    Returns:
        What is to be done.

    Raises:
        InputError: The file is there, but it is something else, or cannot be read.
        OutputError: It cannot be written.
    """
    old = list(_read(path))
    if not resume:
        old = []
    made = {(e["source"], str(e.get("result"))) for e in old if e["settings"] == settings}
    todo = [
        job for job in jobs if (job.image.source, str(job.target)) not in made or not _is_fresh(job)
    ]
    sources = {job.image.source for job in todo}
    results = {str(job.target) for job in todo}
    stay = (e for e in old if e["source"] not in sources and str(e.get("result")) not in results)
    write_bytes(path, b"".join(map(_encode, stay)))
    return todo


def append_line(path: Path, values: Mapping[str, Any]) -> None:
    """Adds a line; the file is closed at once, so that a kill leaves whole lines.

    Args:
        path: The file.
        values: Plain values, "source" first.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        with path.open("ab") as file:
            file.write(_encode(values))
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror}); make room, then go on with resume."
        ) from error


def _encode(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values).encode("ascii") + b"\n"  # escapes hold any file name


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of an earlier run, without one that was cut off when the run was killed."""
    if not os.path.lexists(path):
        return
    try:
        with path.open("rb") as file:
            if not OPENING.startswith(file.read(len(OPENING))):
                raise InputError(
                    f"{path} is there, but it does not hold easyseg's JSON lines; give another "
                    "file with jsonl= or --jsonl, or move it away."
                )
            file.seek(0)
            for line in file:
                with contextlib.suppress(ValueError):
                    values = json.loads(line)
                    if isinstance(values, dict) and {"source", "settings"} <= values.keys():
                        yield values
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); give another file with jsonl= or --jsonl."
        ) from error


def _is_fresh(job: Job) -> bool:
    """Whether the result is there and not older than the image."""
    try:
        made = job.target.stat().st_mtime_ns
        is_web = "://" in job.image.source
        return is_web or made >= Path(job.image.source).stat().st_mtime_ns
    except OSError:
        return False
