"""What runs on the nodes of a Ray cluster: workers that segment, and the tasks before and after."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from easyseg import errors
from easyseg.distributed.ray_nodes import Node, require_version
from easyseg.distributed.segmenter import Row, Segmenter
from easyseg.errors import EasysegError
from easyseg.io.atomic import remove_leftovers
from easyseg.utils.threads import limit_threads

if TYPE_CHECKING:
    from easyseg.results.label_set import LabelSet

STARTING = 600  # seconds for a node to open the model, which may be downloaded


class Facts(NamedTuple):
    """What a node found out about the model.

    Attributes:
        settings: What results depend on, for the results log.
        labels: Its classes.
        sha256: Of the file of its weights; "" if unknown.
    """

    settings: dict[str, Any]
    labels: LabelSet
    sha256: str


def read_replies(tables: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """What workers return: positions, and what was made of them.

    Raises:
        EasysegError: The whole run must stop.
    """
    for table in tables:
        columns = table.to_pydict()
        for position, content in zip(columns["position"], columns["content"], strict=True):
            value = pickle.loads(content)  # noqa: S301  (of our own workers, through Ray)
            if position < 0:
                raise rebuild(**value)
            yield position, value


def reply(values: Mapping[int, Any]) -> Any:
    """A table of what was made of positions."""
    import pyarrow as pa  # noqa: PLC0415

    contents = [pickle.dumps(value) for value in values.values()]
    return pa.table(
        {
            "position": pa.array(list(values), pa.int64()),
            "content": pa.array(contents, pa.large_binary()),
        }
    )


def stop(error: EasysegError) -> Any:
    """A table that ends the run with an error."""
    return reply({-1: _describe_error(error)})


class Worker:
    """Segments the images of a table; Ray makes one in each worker's process.

    Args:
        segmenter: What it does.
        version: Of easyseg where the run was started.
    """

    def __init__(self, segmenter: Segmenter, version: str) -> None:
        self._segmenter, self._version = segmenter, version
        use_cores()

    def __call__(self, table: Any) -> Any:
        """A reply for a table of jobs."""
        columns = table.to_pydict()
        rows = [
            Row(os.fsdecode(path), os.fsdecode(result), None, os.fsdecode(problem))
            for path, result, problem in zip(
                columns["path"], columns["result"], columns["problem"], strict=True
            )
        ]
        try:
            require_version(self._version, os.uname().nodename)
            lines = list(self._segmenter.lines(rows))
            return reply(dict(zip(columns["position"], lines, strict=True)))
        except EasysegError as error:
            return stop(error)


def describe(ray: Any, segmenter: Segmenter, resources: dict[str, Any]) -> Facts:
    """Opens the model on one node, so that what is wrong with it is found before workers start.

    Raises:
        EasysegError: It cannot be opened.
    """
    task = ray.remote(max_retries=1, **resources)(_facts)
    try:
        answer = ray.get(task.remote(segmenter), timeout=STARTING)
    except Exception as error:
        reason = errors.printable(" ".join(str(error).split())[:300])
        raise EasysegError(
            f"A worker of the Ray cluster cannot open {segmenter.model}: {reason}. Give it more "
            "memory=, or check the node with `ray status`."
        ) from error
    if isinstance(answer, dict):
        raise rebuild(**answer)
    return Facts(*answer)


def tidy(ray: Any, nodes: list[Node], folders: list[str]) -> None:
    """Removes incomplete files of workers that died, on the nodes that are left."""
    from ray.util.scheduling_strategies import (  # noqa: PLC0415
        NodeAffinitySchedulingStrategy,
    )

    alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    task = ray.remote(num_cpus=0, max_retries=0)(_remove_leftovers)
    tasks = [
        task.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
        ).remote(folders)
        for node in nodes
        if node.id in alive
    ]
    ray.wait(tasks, num_returns=len(tasks), timeout=60) if tasks else None


def rebuild(kind: str, message: str) -> EasysegError:
    """An error of another process."""
    cls = getattr(errors, kind, EasysegError)
    try:
        return cls(message)
    except TypeError:  # one whose fields stayed there
        return EasysegError(message)


def _facts(segmenter: Segmenter) -> Any:
    use_cores()
    try:
        seg, sha256 = segmenter.open()
        spec = segmenter.spec
        if spec.classes is not None:
            seg.label_set.ids_of(spec.classes)
        return tuple(Facts(seg._settings(), seg.label_set, sha256))
    except EasysegError as error:
        return _describe_error(error)


def _describe_error(error: EasysegError) -> dict[str, str]:
    return {"kind": type(error).__name__, "message": str(error)}


def _remove_leftovers(folders: list[str]) -> None:
    for folder in folders:
        remove_leftovers(Path(folder))


def use_cores() -> None:
    """As many threads as the worker was given cores: Ray sets OMP_NUM_THREADS, TensorFlow's not."""
    cores = os.environ.get("OMP_NUM_THREADS")
    if cores:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", cores)
    limit_threads()
