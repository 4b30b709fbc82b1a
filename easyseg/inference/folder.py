"""Segments many images and writes a result for each; a later run can resume."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import json
import os
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyseg.errors import EasysegError, ImageError, InputError, show_path
from easyseg.inference.area_table import check_area_table, write_area_table
from easyseg.inference.pipeline import run_pipeline
from easyseg.inference.results_log import append_line, begin, describe_part, done_lines
from easyseg.io.atomic import remove_leftovers, write_bytes
from easyseg.io.find_images import (
    Found,
    FoundImages,
    Job,
    Source,
    check_overwrite,
    common_folder,
    describe_files,
    find_images,
    require_writable,
    result_paths,
)
from easyseg.io.name_template import NameTemplate
from easyseg.io.open_image import IMAGE_EXTENSIONS, header_pixels, pixel_limit
from easyseg.io.remote import RemotePath, is_object, write_object
from easyseg.io.shards import Part, Shard, take_part
from easyseg.io.write_image import FORMATS
from easyseg.results.outputs import OUTPUTS
from easyseg.results.outputs.render import encode
from easyseg.results.outputs.spec import OutputSpec, kinds_with
from easyseg.results.segmentation import Segmentation
from easyseg.utils.concurrency import Budget
from easyseg.utils.progress import progress_bar

if TYPE_CHECKING:
    from easyseg.inference.predictor import Predictor
    from easyseg.inference.types import PreparedImage, RawPrediction
    from easyseg.results.label_set import LabelSet

RESULTS_LOG = "results.jsonl"
DISK_IS_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # every later write would fail too

Save = Callable[[Segmentation, Path], Segmentation]
"""Writes a file; returns what is logged of it."""

Outcomes = Generator[tuple[Job, dict[str, Any]], None, None]
"""Jobs, each with its line of the results log: what is in the result, or "error"."""


@dataclasses.dataclass(frozen=True)
class FolderPlan:
    """What a run over many images will do.

    Attributes:
        images: The images, and what was passed over.
        jobs: Each image, or each of the shard, with the path of its result.
        folder: Of the results; `None` if they lie beside the images.
        part: Which of the images are the shard's; `None` if all are done.
    """

    images: FoundImages
    jobs: list[Job]
    folder: Path | None = None
    part: Part | None = None


@dataclasses.dataclass(frozen=True)
class FolderSummary:
    """Counts of a run over many images.

    Attributes:
        done: Images segmented in this run.
        skipped: Images that were done before.
        failed: `(source, message)` of each image that could not be read or written.
        elapsed: Seconds.
        out: Folder of the results, or its URL; `None` where they lie beside the images.
        jsonl: The results log, likewise.
        passed_over: Files in the folders that are no images by their names.
        empty: Sources of images in which nothing was found to keep on a new background or to cut
            out.
    """

    done: int
    skipped: int
    failed: tuple[tuple[str, str], ...]
    elapsed: float
    out: Path | str | None
    jsonl: Path | str
    passed_over: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()

    def __str__(self) -> str:
        total = self.done + self.skipped + len(self.failed)
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        failed = f", {len(self.failed)} failed" if self.failed else ""
        empty = f", {len(self.empty)} with nothing to keep" if self.empty else ""
        out = self.out or "beside the images"
        done = f"{self.done} of {total} done{empty}{skipped}{failed}"
        where = f" in {self.elapsed:.1f} s -> {out}"
        return done + where + describe_files(self.passed_over, "; passed over ")


def plan_folder(
    sources: Source | Iterable[Source],
    out: str | os.PathLike[str] | None = None,
    spec: OutputSpec = OutputSpec(),  # noqa: B008  (frozen)
    *,
    shard: str | None = None,
    kind: str | None = None,
) -> FolderPlan:
    """Which images `segment_folder` will read and which files it will write.

    The paths of results do not depend on the shard. `kind` stands for `{kind}` in a template of
    names; it is by default that of `spec`.

    Raises:
        ImageNotFoundError: A folder or pattern has no image.
        InputError: Results would overwrite images, lie among them or have the same path, `out` has
            the extension of another kind or an unknown field, or there is no such shard.
        OutputError: The output folder cannot be written, or the extension cannot hold the kind.
    """
    if is_object(out):
        raise InputError(
            f"{out} is in an object store, to which easyseg.distributed.segment() writes. Choose "
            "a folder, or call that."
        )
    part_of_all = None if shard is None else Shard.parse(shard)
    out = None if out is None else Path(out)
    suffixes = OUTPUTS[spec.kind].suffixes
    drawn = not suffixes or suffixes[0] in IMAGE_EXTENSIONS  # else no later run mistakes them
    template = NameTemplate.of(out)
    folder = out if template is None else template.folder
    is_seen = drawn and not (template and template.is_marked)
    images = find_images(sources, results=folder if is_seen else None)
    if template is not None:
        targets = template.paths(images, kind or spec.kind)
    else:
        if out is not None:
            _check_file_name(out, spec.kind, len(images))
        targets = result_paths(images, out, extensions=suffixes)
        folder = out.parent if out is not None and targets[0] == out else out
    for path in {target.suffix: target for target in targets}.values():
        spec.check_path(path)
    require_writable(targets[0].parent)
    part, positions = None, tuple(range(len(images)))
    if part_of_all is not None:
        part = take_part(list(map(_name_for_shards, images)), part_of_all)
        positions = part.positions
    jobs = [Job(images[i], targets[i], position=i) for i in positions]
    check_overwrite(images, [job.target for job in jobs])
    return FolderPlan(images, jobs, folder, part)


def segment_folder(
    predictor: Predictor,
    sources: Source | Iterable[Source],
    out: str | os.PathLike[str] | None = None,
    *,
    spec: OutputSpec = OutputSpec(),  # noqa: B008  (frozen)
    resume: bool = False,
    shard: str | None = None,
    jsonl: str | os.PathLike[str] | None = None,
    csv: str | os.PathLike[str] | None = None,
    progress: bool = True,
    settings: Mapping[str, Any] | None = None,
) -> FolderSummary:
    """Segments images and writes a result for each; see `SemanticSegmentation.segment_folder`.

    Args:
        predictor: The network.
        sources: As in the method, and so are `out`, `resume`, `shard`, `jsonl`, `csv` and
            `progress`.
        out: Folder, or a file for a single image.
        spec: What is written.
        resume: Skips images that are done.
        shard: Which part of the images is done.
        jsonl: The results log.
        csv: The areas as CSV.
        progress: Shows a bar.
        settings: What the results depend on beside `spec`; part of each line of the results log.
    """
    labels = predictor.label_set
    plan, settings = plan_folder(sources, out, spec, shard=shard), settings or {}
    settings = {**settings, **output_settings(spec, labels)}
    table = None if csv is None else Path(csv)
    if table is not None:
        table = table if plan.part is None else plan.part.shard.file(table)
        check_area_table(table, plan.jobs)
    summary = run_jobs(
        plan,
        functools.partial(segment_jobs, predictor, save_as(spec, labels)),
        out=None if out is None else Path(out),
        settings=settings,
        is_empty=lambda line: is_empty_cutout(line, spec, labels),
        resume=resume,
        jsonl=jsonl,
        progress=progress,
    )
    if table is not None:
        write_areas(table, plan.jobs, Path(summary.jsonl), settings, spec, labels)
    return summary


def write_areas(
    table: Path,
    jobs: Sequence[Job],
    results_log: Path,
    settings: Mapping[str, Any],
    spec: OutputSpec,
    labels: LabelSet,
) -> None:
    """Writes the areas of the images that the log lists as done with these settings, as CSV."""
    ids = range(len(labels)) if spec.classes is None else labels.ids_of(spec.classes)
    names = {i: labels.names[i] for i in ids}
    write_area_table(table, jobs, done_lines(results_log, settings), names)


def output_settings(spec: OutputSpec, labels: LabelSet) -> dict[str, Any]:
    """What the results log says of `spec`: its fields, with the names of the classes."""
    ids = None if spec.classes is None else sorted(labels.ids_of(spec.classes))
    names = None if ids is None else [labels.name_of(i) for i in ids]
    return {**dataclasses.asdict(spec), "classes": names}


def save_as(spec: OutputSpec, labels: LabelSet) -> Save:
    """What writes results as `spec` says."""
    ids = None if spec.classes is None else sorted(labels.ids_of(spec.classes))

    def save(result: Segmentation, path: Path) -> Segmentation:
        result = result if ids is None else result.filter(ids)
        if isinstance(path, RemotePath):
            write_object(str(path), encode(result, spec, path))
        else:
            write_bytes(path, encode(result, spec, path))
        return result

    return save


def is_empty_cutout(line: Mapping[str, Any], spec: OutputSpec, labels: LabelSet) -> bool:
    """Whether nothing was found to cut out, as the line of the results log says."""
    return spec.kind == "cutout" and [c["id"] for c in line["classes"]] == [labels.void]


def run_jobs(
    plan: FolderPlan,
    execute: Callable[[Sequence[Job]], Outcomes],
    *,
    out: Path | str | None,
    settings: Mapping[str, Any],
    is_empty: Callable[[Mapping[str, Any]], bool] = lambda _: False,
    resume: bool = False,
    jsonl: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> FolderSummary:
    """Does the jobs of a plan that are not yet done, and logs each.

    Args:
        plan: What is to be done.
        execute: Does it; gives each job when it is done, in any order.
        out: As in `segment_folder`, and so are `settings`, `resume`, `jsonl` and `progress`.
        settings: What the results depend on.
        is_empty: Whether there was nothing to keep, as a line of the results log says.
        resume: Skips images that are done.
        jsonl: The results log.
        progress: Shows a bar.
    """
    started, jobs, part = time.perf_counter(), plan.jobs, plan.part
    results_log = _results_log(plan, out, jsonl)
    for folder in {path.parent for path in (results_log, *(job.target for job in jobs))}:
        remove_leftovers(folder)
    settings = json.loads(json.dumps(settings))  # as the lines of an earlier run have them
    todo = begin(jobs, results_log, settings, resume=resume, part=part)
    done, failed, empty = 0, [], []
    shown, outcomes = progress and len(todo) > 1, execute(todo)
    with contextlib.closing(outcomes), progress_bar(shown, len(todo), "image") as bar:
        for job, line in outcomes:
            if "error" in line:
                failed.append((job.image.source, line["error"]))
            else:
                done += 1
                empty += [job.image.source] * is_empty(line)
            append_line(results_log, {**line, "settings": settings, **describe_part(part, job)})
            bar.update()
    return FolderSummary(
        done,
        len(jobs) - len(todo),
        tuple(failed),
        time.perf_counter() - started,
        out,
        results_log,
        tuple(plan.images.passed_over),
        tuple(sorted(empty)),
    )


def segment_jobs(
    predictor: Predictor, save: Save, jobs: Sequence[Job], *, workers: int | None = None
) -> Outcomes:
    """Segments images in threads and saves the results; gives each job, in order.

    Args:
        predictor: The network.
        save: Writes a result.
        jobs: The images.
        workers: As for `run_pipeline`.

    Raises:
        OutputError: The disk is full; every later result would fail too.
    """
    budget = Budget(pixel_limit(predictor.options.max_pixels))  # else few large images fill memory
    outcomes = run_pipeline(
        predictor,
        jobs,
        functools.partial(_read, predictor, budget),
        functools.partial(_save_and_describe, save, budget),
        workers=workers,
    )
    with contextlib.closing(outcomes):
        for job, line, error in outcomes:
            if line is not None:
                yield job, line
            elif isinstance(error, EasysegError) and not _is_disk_full(error):
                yield job, {"source": job.image.source, "error": str(error)}
            elif error is not None:
                raise error


def _check_file_name(out: Path, kind: str, image_count: int) -> None:
    """Raises InputError where `out` is named as a file, but not as one of this kind."""
    extension = out.suffix.lower()
    own = OUTPUTS[kind].suffixes or FORMATS
    if out.is_dir() or extension in (*own, *IMAGE_EXTENSIONS):
        return
    of_other_kind = any(extension in OUTPUTS[name].suffixes for name in OUTPUTS)
    if out.exists() or of_other_kind or (extension and image_count == 1):
        raise InputError(
            f"Cannot write {kind} to {out}: expected a folder, or one of the extensions "
            f"{', '.join(own)}.{kinds_with(extension)}"
        )


def _read(predictor: Predictor, budget: Budget, job: Job) -> PreparedImage:
    source = job.image.source
    if job.image.problem:
        raise ImageError(job.image.problem)
    is_file = "://" not in source and job.content is None
    count = header_pixels(Path(source), predictor.options.max_pixels) if is_file else 0
    budget.take(count)
    try:
        if job.content is None:
            return predictor.prepare(source, item=(job, count))
        return predictor.prepare(job.content, item=(job, count))._replace(source=source)
    except Exception as error:  # a decoder's bug must not stop a long run
        budget.give(count)
        if isinstance(error, EasysegError):
            raise
        source = show_path(source)
        raise ImageError(f"Cannot read {source}: {type(error).__name__}: {error}.") from error


def _save_and_describe(save: Save, budget: Budget, prediction: RawPrediction) -> dict[str, Any]:
    """Writes the result; returns the image's line of the results log."""
    job, count = prediction.item
    try:
        result = save(prediction.finish(), job.target)
    finally:
        budget.give(count)
    height, width = result.labels.shape
    classes = zip(result.class_ids, result.class_names, result.ratios, strict=True)
    pixels = width * height
    return {
        "source": job.image.source,
        "result": str(job.target),
        "width": width,
        "height": height,
        "classes": [
            {"id": i, "name": name, "ratio": round(ratio, 6), "pixels": round(ratio * pixels)}
            for i, name, ratio in classes
        ],
        "milliseconds": {step: round(spent, 1) for step, spent in result.speed.items()},
    }


def _is_disk_full(error: EasysegError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in DISK_IS_FULL


def _name_for_shards(image: Found) -> str:
    """The same wherever a machine has mounted the folder."""
    return image.source if "://" in image.source else image.relative_path.as_posix()


def _results_log(
    plan: FolderPlan, out: Path | str | None, jsonl: str | os.PathLike[str] | None
) -> Path:
    if jsonl is not None:
        path = Path(jsonl)
    elif out is None:
        path = common_folder(plan.images) / RESULTS_LOG
    else:
        path = (plan.folder or Path(out)) / RESULTS_LOG
    path = path if plan.part is None else plan.part.shard.file(path)
    if os.path.abspath(path) in {os.path.abspath(job.target) for job in plan.jobs}:  # noqa: PTH100
        raise InputError(
            f"The results log would overwrite the result {path}. Choose another jsonl file."
        )
    return path
