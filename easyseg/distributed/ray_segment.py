"""Many images on a Ray cluster: the run of `segment_folder`, with workers on all nodes.

Only paths and rows of results go through Ray. Workers read images and write results themselves, so
that no pixels are in Ray's object store.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyseg.distributed.plan import plan_run
from easyseg.distributed.ray_connect import connected
from easyseg.distributed.ray_pool import (
    MEMORY,
    TRIES,
    Pool,
    Resources,
    open_pool,
    rows_per_task,
)
from easyseg.distributed.ray_worker import Worker, read_replies, tidy
from easyseg.distributed.remote_log import RemoteLog
from easyseg.distributed.rows import write_parquet
from easyseg.distributed.segmenter import ModelOptions, Segmenter
from easyseg.errors import ImageError, InputError
from easyseg.inference.area_table import check_area_table
from easyseg.inference.folder import (
    FolderPlan,
    FolderSummary,
    Outcomes,
    is_empty_cutout,
    output_settings,
    run_jobs,
    write_areas,
)
from easyseg.io.remote import is_object, write_object
from easyseg.utils.validation import checked

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from easyseg.io.find_images import Job, Source
    from easyseg.results.label_set import Classes

log = logging.getLogger(__name__)

TABLE = "results.parquet"

AnyPath = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class RaySummary(FolderSummary):
    """Counts of a run on a cluster.

    Attributes:
        table: The rows of results as a Parquet file, a path or URL.
        workers: How many there were.
        startup: Seconds until the first results came: Ray, processes, the model.
    """

    table: str = ""
    workers: int = 0
    startup: float = 0.0


@checked
def segment(
    sources: Source | Iterable[Source],
    out: AnyPath,
    *,
    model: AnyPath = "mini",
    kind: str = "overlay",
    classes: Classes | None = None,
    alpha: float = 0.6,
    legend: bool = False,
    tolerance: float = 0.0,
    min_area: int = 0,
    workers: int | None = None,
    cpus: float = 1,
    gpus: float = 0,
    memory: int = MEMORY,
    resume: bool = False,
    jsonl: AnyPath | None = None,
    csv: AnyPath | None = None,
    max_failures: int | None = None,
    ray: str | None = None,
    progress: bool = True,
    **options: Unpack[ModelOptions],
) -> RaySummary:
    """Segments images on a Ray cluster, or on all cores of this computer (docs/scale.md).

        print(easyseg.distributed.segment("s3://bucket/images", "s3://bucket/out", ray="auto"))

    Results, and the log of them, are those of `SemanticSegmentation.segment_folder`, byte by byte.
    Images whose worker dies are done again by another.

    Args:
        sources: Files, folders, patterns, `@list.txt` or Parquet files of paths; URLs of http(s),
            s3, gs and whatever else pyarrow opens. All nodes must see them.
        out: Folder of results, a path that all nodes share or a URL of s3, gs, ...; of a path also
            a template of names such as "out/{stem}_seg.png".
        model: As for `SemanticSegmentation`, a name or path; or the URL of a file.
        kind: As in `segment_image`, and so are the next three.
        classes: Only these classes.
        alpha: Opacity of an overlay.
        legend: Draws names and percentages.
        tolerance: Maximum error of simplified outlines in pixels.
        min_area: Leaves out regions, and fills holes, of fewer pixels.
        workers: Processes that segment; `None` for as many as the cluster's resources allow.
        cpus: Cores of each, and threads of its network.
        gpus: Cards of each.
        memory: Bytes that Ray sets apart for each; `max_pixels` bounds what an image takes.
        resume: Skips images that `results.jsonl` in `out` lists as done in the same way.
        jsonl: The results log, a file of this computer; `None` for `results.jsonl` in the folder
            of results, which those in an object store always have.
        csv: Writes the areas as CSV too, a file of this computer.
        max_failures: Failed images from which on the run stops; `None` never stops it.
        ray: Address of the cluster: "auto", "host:port", or "local"; `None` for that of
            RAY_ADDRESS, else this computer.
        progress: Shows a bar.
        **options: Other arguments of `SemanticSegmentation`, such as `tile=513`, `batch_size=4`.

    Raises:
        InputError: An argument breaks its rule, Ray is not installed, the cluster is not reached,
            or one of its nodes cannot do the work.
        ImageNotFoundError: A source has no images.
        ImageError: More than `max_failures` images failed; those done are kept.
        OutputError: Results cannot be written.
        UnknownNameError: No such class or kind.
        WeightsError: The weights are not available.
    """
    started = time.perf_counter()
    if max_failures is not None and max_failures < 0:
        raise InputError(f"max_failures={max_failures!r} must be a whole number from 0.")
    resources = Resources(workers, cpus, gpus, memory)
    out = os.fspath(out)
    segmenter = Segmenter(
        os.fspath(model),
        kind=kind,
        classes=classes,
        alpha=alpha,
        legend=legend,
        tolerance=tolerance,
        min_area=min_area,
        **options,
    )
    if jsonl is not None and is_object(out):
        raise InputError(
            f"jsonl={os.fspath(jsonl)!r} cannot be chosen for results in an object store, whose "
            "log is results.jsonl beside them. Leave it out, and copy that object."
        )
    plan = plan_run(sources, out, segmenter.spec)
    areas = None if csv is None else Path(csv)
    if areas is not None:
        check_area_table(areas, plan.jobs)
    folders = [] if is_object(out) else sorted({_parent(job) for job in plan.jobs})
    with connected(ray) as cluster:
        pool, facts = open_pool(
            cluster,
            segmenter,
            resources,
            most=len(plan.jobs),
            files=_first_file(plan),
            folder=folders[0] if folders else None,
        )
        run = _Run(pool, segmenter, max_failures, started)
        settings = {**facts.settings, **output_settings(segmenter.spec, facts.labels)}
        arguments: dict[str, Any] = {
            "settings": settings,
            "is_empty": lambda line: is_empty_cutout(line, segmenter.spec, facts.labels),
            "resume": resume,
            "jsonl": jsonl,
            "progress": progress,
        }

        def write_tables(results_log: Path, rows: Path) -> None:
            write_parquet(results_log, rows, facts.sha256)
            if areas is not None:
                spec, labels = segmenter.spec, facts.labels
                write_areas(areas, plan.jobs, results_log, settings, spec, labels)

        try:
            summary, table = _with_log(plan, run, out, write_tables, arguments)
        finally:
            tidy(cluster, pool.nodes, folders)
    values = {field.name: getattr(summary, field.name) for field in dataclasses.fields(summary)}
    values["elapsed"] = time.perf_counter() - started
    return RaySummary(**values, table=table, workers=pool.workers, startup=run.startup)


def _with_log(
    plan: FolderPlan,
    run: _Run,
    out: str,
    write_tables: Callable[[Path, Path], None],
    arguments: dict[str, Any],
) -> tuple[FolderSummary, str]:
    """Does the run, with its log and its table beside the results; also where the table is.

    `write_tables` writes the tables of a log; the path of one of them is given.
    """
    if not is_object(out):
        summary = run_jobs(plan, run.execute, out=Path(out), **arguments)
        table = (plan.folder or Path(out)) / TABLE
        write_tables(Path(summary.jsonl), table)
        return summary, str(table)
    remote, uri = RemoteLog(out), f"{out.rstrip('/')}/{TABLE}"
    try:
        if arguments["resume"]:
            remote.fetch()
        summary = run_jobs(
            plan,
            lambda jobs: remote.follow(run.execute(jobs)),
            out=out,
            **{**arguments, "jsonl": remote.path},
        )
        remote.store()
        table = remote.path.with_name(TABLE)
        write_tables(remote.path, table)
        write_object(uri, table.read_bytes())
        return dataclasses.replace(summary, jsonl=remote.uri), uri
    finally:
        remote.close()


@dataclasses.dataclass
class _Run:
    """The jobs of a run dealt out to workers.

    Attributes:
        pool: The workers.
        segmenter: What they do.
        max_failures: As for `segment`.
        started: When the run began.
        startup: Seconds until the first result.
    """

    pool: Pool
    segmenter: Segmenter
    max_failures: int | None
    started: float
    startup: float = 0.0

    def execute(self, jobs: Sequence[Job]) -> Outcomes:
        """Segments the images of jobs; gives each when it is done, once.

        Raises:
            EasysegError: No worker can do the work.
            ImageError: Too many failed.
        """
        waiting, failed, vain, again = dict(enumerate(jobs)), 0, 0, False
        while waiting and vain < TRIES:
            if again:
                log.warning("%s images are done again; their workers died.", len(waiting))
            before, again = len(waiting), True
            tables = list(_tables(waiting, rows_per_task(before, vain)))
            arguments = {"segmenter": self.segmenter}
            replies = self.pool.map(Worker, arguments, tables, queued=not vain)
            for position, line in read_replies(replies):
                self.startup = self.startup or time.perf_counter() - self.started
                job = waiting.pop(position, None)
                if job is None:  # of a task that was done twice
                    continue
                failed += "error" in line
                yield job, _line_of(job, line)
                if self.max_failures is not None and failed > self.max_failures:
                    raise ImageError(
                        f"{failed} images failed, more than max_failures={self.max_failures}; the "
                        f"last: {line['error']} Those done are kept: resume once this is fixed."
                    )
            vain = vain + 1 if len(waiting) == before else 0
        for job in waiting.values():
            message = (
                f"Cannot segment {job.image.source}: {TRIES} workers died over it. Give workers "
                "more memory=, or a smaller max_pixels=."
            )
            yield job, {"source": job.image.source, "error": message}


def _line_of(job: Job, line: dict[str, Any]) -> dict[str, Any]:
    """The line as one process would log it: with the paths as they were given."""
    names = {"source": job.image.source}
    return {**line, **names} if "error" in line else {**line, **names, "result": str(job.target)}


def _tables(jobs: dict[int, Job], rows: int) -> Iterator[Any]:
    """The jobs in tables of so many rows; names of files may hold any bytes."""
    import pyarrow as pa  # noqa: PLC0415

    pairs = list(jobs.items())
    for start in range(0, len(pairs), rows):
        part = pairs[start : start + rows]
        columns = {
            "position": pa.array([position for position, _ in part], pa.int64()),
            "path": pa.array(
                [os.fsencode(_absolute(job.image.source)) for _, job in part], pa.binary()
            ),
            "result": pa.array(
                [os.fsencode(_absolute(str(job.target))) for _, job in part], pa.binary()
            ),
            "problem": pa.array([os.fsencode(job.image.problem) for _, job in part], pa.binary()),
        }
        yield pa.table(columns)


def _absolute(path: str) -> str:
    """The path as processes with other working directories must be told."""
    return path if "://" in path else os.path.abspath(path)  # noqa: PTH100  (quicker)


def _parent(job: Job) -> str:
    return os.path.dirname(os.path.abspath(job.target))  # noqa: PTH100, PTH120  (quicker)


def _first_file(plan: FolderPlan) -> list[str]:
    """An image that is there, which all nodes must see."""
    paths = (_absolute(image.source) for image in plan.images if "://" not in image.source)
    first = next(filter(os.path.exists, paths), None)
    return [] if first is None else [first]
