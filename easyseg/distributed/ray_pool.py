"""Workers on a Ray cluster, and the tables that go to them and come back, by Ray Data."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import easyseg
from easyseg.distributed.ray_nodes import Node, check_nodes, nodes_for
from easyseg.distributed.ray_worker import Facts, describe
from easyseg.distributed.segmenter import Segmenter
from easyseg.errors import InputError
from easyseg.utils.validation import is_count

ROWS = 16  # images of a task, which is done again if its worker dies
MOST_TASKS = 20_000  # of long runs, tasks have more images
MEMORY = 2_000_000_000  # bytes that Ray sets apart for a worker
TRIES = 3  # at what is left, all of whose workers died; from the second on image by image


@dataclasses.dataclass(frozen=True)
class Resources:
    """What workers get.

    Args:
        workers: Their number; `None` for as many as fit.
        cpus: Cores of each.
        gpus: Cards of each.
        memory: Bytes of each.

    Raises:
        InputError: A value breaks its rule.
    """

    workers: int | None
    cpus: float
    gpus: float
    memory: int

    def __post_init__(self) -> None:
        if self.workers is not None and not is_count(self.workers):
            raise InputError(f"workers={self.workers!r} must be a whole number from 1.")
        if self.cpus <= 0 or (self.cpus > 1 and self.cpus != int(self.cpus)):
            raise InputError(
                f"cpus={self.cpus!r} must be a whole number from 1, or a part of a core."
            )
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise InputError(
                f"gpus={self.gpus!r} must be a whole number from 0, or a part of a card."
            )
        if self.memory < 1:
            raise InputError(f"memory={self.memory!r} must be a number of bytes, such as {MEMORY}.")

    def for_ray(self) -> dict[str, float]:
        """Those of a worker, as Ray names them."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus, "memory": self.memory}

    def fit_into(self, nodes: list[Node]) -> int:
        """How many workers the nodes run at once."""
        names = [name for name in ("cpus", "gpus", "memory") if getattr(self, name)]
        return sum(
            int(min(getattr(node, name) // getattr(self, name) for name in names)) for node in nodes
        )


@dataclasses.dataclass(frozen=True)
class Pool:
    """Workers of one kind.

    Attributes:
        ray: The package, connected to a cluster.
        nodes: The nodes that can run them.
        workers: How many there are.
        resources: Of each.
    """

    ray: Any
    nodes: list[Node]
    workers: int
    resources: Resources

    def map(
        self,
        worker: type,
        arguments: Mapping[str, Any],
        tables: Sequence[Any],
        *,
        queued: bool = True,
    ) -> Iterator[Any]:
        """Sends tables to workers; gives what they return, in any order.

        A table whose worker dies does not come back: in a cluster that has lost a node, it would
        wait for another worker for ever. The caller sends it again.

        Args:
            worker: A class; each process makes an instance and calls it with tables.
            arguments: Of the class, beside `version`, of easyseg in this process.
            tables: Of pyarrow; a task for each.
            queued: Whether a second task waits at each worker, which is quicker; if the worker
                dies over the first, both are lost.
        """
        from ray.data import ActorPoolStrategy, DataContext  # noqa: PLC0415

        context = DataContext.get_current().copy()
        context.enable_progress_bars = False
        context.max_errored_blocks = -1  # any number
        with DataContext.current(context), _quiet():
            done = self.ray.data.from_blocks(list(tables)).map_batches(
                worker,
                fn_constructor_kwargs={**arguments, "version": easyseg.__version__},
                compute=ActorPoolStrategy(
                    size=min(self.workers, len(tables)), max_tasks_in_flight_per_actor=1 + queued
                ),
                batch_size=None,
                batch_format="pyarrow",
                max_task_retries=0,
                **self.resources.for_ray(),
            )
            yield from done.iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=0
            )


def open_pool(
    ray: Any,
    segmenter: Segmenter,
    resources: Resources,
    *,
    most: int,
    files: list[str],
    folder: str | None,
) -> tuple[Pool, Facts]:
    """Workers that can do the work, and what one of them says of the model.

    Args:
        ray: The package, connected.
        segmenter: The work; from now on it takes no other weights than that one has found.
        resources: Of the workers.
        most: How many workers there are at most.
        files: What all nodes must see, beside the model.
        folder: Where all nodes must write.

    Raises:
        EasysegError: A node cannot do the work.
    """
    nodes = nodes_for(ray, resources.cpus, resources.gpus, resources.memory)
    is_file = Path(segmenter.model).is_absolute()
    check_nodes(ray, nodes, folder, [*files, *[segmenter.model] * is_file])
    facts = describe(ray, segmenter, resources.for_ray())
    segmenter.sha256 = facts.sha256
    workers = resources.workers or resources.fit_into(nodes)
    return Pool(ray, nodes, max(1, min(workers, most)), resources), facts


def rows_per_task(count: int, vain: int) -> int:
    """How many images a task has, of so many, after so many tries in vain."""
    return 1 if vain else max(ROWS, count // MOST_TASKS)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the log of Ray Data, which has a traceback for each worker that dies.

    It warns that from version 2.64 on `max_task_retries` will have another name.
    """
    log = logging.getLogger("ray.data")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
            yield
    finally:
        log.setLevel(level)
