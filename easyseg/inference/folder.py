"""Segments many images: reading, the network and writing overlap, and a later run can go on."""

from __future__ import annotations

import dataclasses
import errno
import functools
import json
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from easyseg.errors import EasysegError, InputError
from easyseg.inference.results_log import append_line, begin
from easyseg.io.find_images import (
    Job,
    Source,
    common_folder,
    find_images,
    require_writable,
    result_paths,
    spare_sources,
)
from easyseg.io.read_image import IMAGE_EXTENSIONS
from easyseg.results.outputs import OUTPUTS
from easyseg.results.outputs.render import check_output
from easyseg.results.segmentation import Classes, Segmentation
from easyseg.utils.concurrency import bounded_map
from easyseg.utils.threads import thread_count
from easyseg.utils.validation import is_count

if TYPE_CHECKING:
    from easyseg.inference.predictor import Predictor
    from easyseg.inference.types import PreparedImage, RawPrediction
    from easyseg.results.label_set import LabelSet

__all__ = ["FolderSummary", "plan_folder", "segment_folder"]

JSON_LINES = "results.jsonl"
MOST_WORKERS = 8  # threads that read and write
NO_MORE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # after which every write would fail


@dataclasses.dataclass(frozen=True)
class FolderSummary:
    """What became of a run over many images.

    Attributes:
        done: Images segmented in this run.
        skipped: Images that were done before.
        failed: `(source, message)` of each image that could not be read or written.
        elapsed: Seconds.
        out: Folder of the results; `None` where they lie beside the images.
        jsonl: The JSON lines.
    """

    done: int
    skipped: int
    failed: tuple[tuple[str, str], ...]
    elapsed: float
    out: Path | None
    jsonl: Path

    def __str__(self) -> str:
        total = self.done + self.skipped + len(self.failed)
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        failed = f", {len(self.failed)} failed" if self.failed else ""
        place = self.out or "beside the images"
        return f"{self.done} of {total} done{skipped}{failed} in {self.elapsed:.1f} s -> {place}"


def plan_folder(
    sources: Source | Iterable[Source],
    out: Path | None = None,
    *,
    kind: str = "overlay",
    alpha: float = 0.6,
) -> list[Job]:
    """Says what `segment_folder` will do, and raises what can be known before any work is done.

    Args:
        sources: As in `segment_folder`; so are the others.
        out: Folder, or a file for a single image.
        kind: A row of `OUTPUTS`.
        alpha: 0 to 1.

    Raises:
        ImageNotFoundError: A folder or pattern means no image.
        InputError: Results would overwrite images or lie among them, `out` has the ending of
            another kind, or an argument breaks its rule.
        OutputError: The results' folder cannot be written, or their ending would spoil them.
    """
    suffixes = OUTPUTS[kind].suffixes
    if out is not None and not out.is_dir():
        _refuse_other_kinds(out, kind)
    drawn = not suffixes or suffixes[0] in IMAGE_EXTENSIONS  # else no later run mistakes them
    found = find_images(sources, results=out if drawn else None)
    targets = result_paths(found, out, suffixes=suffixes)
    check_output(targets[0], kind, alpha=alpha)  # all have one ending
    require_writable(targets[0].parent)
    spare_sources(found, targets)
    return [Job(*pair) for pair in zip(found, targets, strict=True)]


def segment_folder(
    predictor: Predictor,
    sources: Source | Iterable[Source],
    out: str | os.PathLike[str] | None = None,
    *,
    kind: str = "overlay",
    alpha: float = 0.6,
    classes: Classes | None = None,
    legend: bool = False,
    resume: bool = False,
    jsonl: str | os.PathLike[str] | None = None,
    batch_size: int | None = None,
    progress: bool = True,
    settings: Mapping[str, Any] | None = None,
) -> FolderSummary:
    """Segments images and writes a result for each; see `SemanticSegmentation.segment_folder`.

    Args:
        predictor: The network.
        sources: A file, a folder, a glob pattern, an http(s) address, `@list.txt`, or several.
        out: Folder, or a file for a single image; without it, results lie beside the images.
        kind: A row of `OUTPUTS`.
        alpha: 0 to 1.
        classes: Only these classes.
        legend: Writes names and shares into the image.
        resume: Skips what the JSON lines say is done, under the same settings.
        jsonl: Instead of `results.jsonl` in `out`, or in the images' common folder.
        batch_size: Instead of the predictor's own.
        progress: Shows a bar.
        settings: What the results depend on beside these options, such as the model's name;
            stands in each JSON line.

    Raises:
        EasysegError: As in `plan_folder`; or the disk is full, after which earlier results stay.
    """
    started = time.perf_counter()
    if batch_size is not None and not is_count(batch_size):
        raise InputError(f"batch_size={batch_size!r} must be a whole number from 1.")
    ids = None if classes is None else sorted(predictor.label_set.ids_of(classes))
    place = None if out is None else Path(out)
    jobs = plan_folder(sources, place, kind=kind, alpha=alpha)
    lines = _lines_of(jobs, place, jsonl)
    write = _Writer(kind, alpha, legend, ids)
    made_with = json.loads(json.dumps({**(settings or {}), **write.settings(predictor.label_set)}))
    todo = begin(jobs, lines, made_with, resume=resume)
    done, failed = 0, []
    workers = min(MOST_WORKERS, thread_count())
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=len(todo), disable=not progress or len(todo) < 2, unit="image") as bar,
    ):
        try:
            size = batch_size or predictor.batch_size
            for line in _through(predictor, pool, todo, write, batch_size=size, workers=workers):
                append_line(lines, {**line, "settings": made_with})
                bar.update()
                if "error" in line:
                    failed.append((line["source"], line["error"]))
                else:
                    done += 1
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    elapsed = time.perf_counter() - started
    return FolderSummary(done, len(jobs) - len(todo), tuple(failed), elapsed, place, lines)


def _refuse_other_kinds(out: Path, kind: str) -> None:
    """Raises InputError where a folder with a document's name would be made: `-o dog.json`."""
    ending = out.suffix.lower()
    named = [name for name in OUTPUTS if ending in OUTPUTS[name].suffixes]
    if named and kind not in named and ending not in IMAGE_EXTENSIONS:
        raise InputError(
            f"-o {out} has the ending of {' or '.join(named)}, but the kind is {kind}; "
            f"say the kind too, such as -k {named[0]}, or give a folder."
        )


@dataclasses.dataclass(frozen=True)
class _Writer:
    """Finishes an image and writes its result."""

    kind: str
    alpha: float
    legend: bool
    ids: list[int] | None

    def settings(self, label_set: LabelSet) -> dict[str, Any]:
        names = None if self.ids is None else [label_set.name_of(i) for i in self.ids]
        return {
            "kind": self.kind, "alpha": self.alpha, "legend": self.legend, "classes": names
        }  # fmt: skip

    def __call__(self, item: tuple[Job, RawPrediction]) -> dict[str, Any]:
        """The image's JSON line."""
        job, forwarded = item
        result = forwarded.finish()
        if self.ids is not None:
            result = result.filter(self.ids)
        try:
            result.save(job.target, self.kind, alpha=self.alpha, legend=self.legend)
        except EasysegError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in NO_MORE:
                raise
            return {"source": job.image.source, "error": str(error)}
        return _describe(job, result)


def _through(
    predictor: Predictor,
    pool: Executor,
    jobs: Iterable[Job],
    write: _Writer,
    *,
    batch_size: int,
    workers: int,
) -> Iterator[dict[str, Any]]:
    """The JSON line of each image; reading and writing run in the pool, the network here."""
    in_network: deque[Job] = deque()
    unread: deque[dict[str, Any]] = deque()

    def images() -> Iterator[PreparedImage]:
        prepare = functools.partial(_prepared, predictor)
        for job, image in bounded_map(pool, prepare, jobs, batch_size + workers):
            if isinstance(image, str):
                unread.append({"source": job.image.source, "error": image})
            else:
                in_network.append(job)
                yield image

    def forwarded() -> Iterator[tuple[Job, RawPrediction]]:
        for each in predictor.forward(images(), batch_size=batch_size):
            yield in_network.popleft(), each

    line: dict[str, Any]
    for line in bounded_map(pool, write, forwarded(), workers, eager=True):
        while unread:
            yield unread.popleft()
        yield line
    yield from unread


def _prepared(predictor: Predictor, job: Job) -> tuple[Job, PreparedImage | str]:
    """The image, ready for the network, or why it cannot be read."""
    source = job.image.source
    if job.image.problem:
        return job, job.image.problem
    try:
        return job, predictor.prepare(source)
    except EasysegError as error:
        return job, str(error)
    except Exception as error:  # noqa: BLE001  (no decoder's bug may stop a long run)
        return job, f"{source} cannot be read ({type(error).__name__}: {error})."


def _describe(job: Job, result: Segmentation) -> dict[str, Any]:
    height, width = result.labels.shape
    found = zip(result.class_ids, result.class_names, result.ratios, strict=True)
    size = width * height
    return {
        "source": job.image.source,
        "result": str(job.target),
        "width": width,
        "height": height,
        "classes": [
            {"id": i, "name": name, "ratio": round(ratio, 6), "pixels": round(ratio * size)}
            for i, name, ratio in found
        ],
        "milliseconds": {step: round(spent, 1) for step, spent in result.speed.items()},
    }


def _lines_of(jobs: list[Job], out: Path | None, jsonl: str | os.PathLike[str] | None) -> Path:
    """Where the JSON lines go."""
    if jsonl is not None:
        path = Path(jsonl)
    elif out is None:
        path = common_folder(job.image for job in jobs) / JSON_LINES
    else:
        path = (out.parent if jobs[0].target == out else out) / JSON_LINES
    if path.absolute() in {job.target.absolute() for job in jobs}:
        raise InputError(f"the JSON lines would overwrite the result {path}; give another file.")
    return path
