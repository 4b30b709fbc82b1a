"""The nodes of a Ray cluster, and whether they can do the work.

What is wrong with a node is found by a small task on each before the work begins.
"""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import easyseg
from easyseg.errors import InputError, OutputError, printable
from easyseg.io.atomic import output_errors

PATIENCE = 60  # seconds, for the answer of a node
IMAGE_CURE = (
    'Use a container image that has easyseg, or ray.init(runtime_env={{"pip": ["easyseg=={}"]}}).'
)


@dataclasses.dataclass(frozen=True)
class Node:
    """A node that can run workers.

    Attributes:
        id: Ray's.
        name: Its address, for messages.
        cpus: Number of cores that Ray gives away, in all.
        gpus: Likewise.
        memory: Bytes, likewise.
    """

    id: str
    name: str
    cpus: float
    gpus: float
    memory: float


def nodes_for(ray: Any, cpus: float, gpus: float, memory: int) -> list[Node]:
    """The nodes that can run a worker.

    Raises:
        InputError: There is none.
    """
    nodes = [
        Node(
            node["NodeID"],
            node["NodeManagerAddress"],
            node["Resources"].get("CPU", 0),
            node["Resources"].get("GPU", 0),
            node["Resources"].get("memory", 0),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]
    able = [n for n in nodes if n.cpus >= cpus and n.gpus >= gpus and n.memory >= memory]
    if not able:
        largest = ", ".join(
            f"{n.name}: {n.cpus:g} CPUs, {n.gpus:g} GPUs, {n.memory / 1e9:.1f} GB" for n in nodes
        )
        raise InputError(
            f"No node of the Ray cluster can run a worker with cpus={cpus:g}, gpus={gpus:g} and "
            f"memory={memory} ({largest or 'there are no nodes'}). Ask for less."
        )
    return able


def check_nodes(ray: Any, nodes: list[Node], out: str | None, files: list[str]) -> None:
    """Checks that each node has this easyseg, and sees the folder of results and these files.

    Args:
        ray: The package.
        nodes: The nodes.
        out: Folder of results on this computer's file system; `None` if it is in an object store.
        files: Files and folders, such as the model's.

    Raises:
        InputError: A node has no easyseg or another one, or does not see a file.
        OutputError: A node does not see the folder, or cannot write into it.
    """
    with _probe_file(out) as probe:
        tasks = [_start(ray, node, probe, files) for node in nodes]
        for node, task in zip(nodes, tasks, strict=True):
            try:
                answer = ray.get(task, timeout=PATIENCE)
            except Exception as error:
                reason = printable(" ".join(str(error).split())[:300])
                raise InputError(
                    f"Node {node.name} of the Ray cluster does not run tasks: {reason}. Check it "
                    "with `ray status`."
                ) from error
            _judge(node, answer, out)


def _start(ray: Any, node: Node, probe: str | None, files: list[str]) -> Any:
    from ray.util.scheduling_strategies import (  # noqa: PLC0415
        NodeAffinitySchedulingStrategy,
    )

    # a function within a function is sent as it is: nodes without easyseg can run it
    strategy = NodeAffinitySchedulingStrategy(node.id, soft=False)
    task = ray.remote(num_cpus=0, max_retries=1, scheduling_strategy=strategy)(_make_probe())
    return task.remote(probe, files)


def _make_probe() -> Callable[..., dict[str, Any]]:
    def look(probe: str | None, files: list[str]) -> dict[str, Any]:
        import os  # noqa: PLC0415
        import sys  # noqa: PLC0415

        answer: dict[str, Any] = {"unseen": [f for f in files if not os.path.exists(f)]}  # noqa: PTH110
        answer["python"] = sys.executable
        if probe is not None:
            answer["sees_out"] = os.path.exists(probe)  # noqa: PTH110
            answer["can_write"] = os.access(os.path.dirname(probe), os.W_OK)  # noqa: PTH120
        try:
            import easyseg  # noqa: PLC0415

            answer["version"] = easyseg.__version__
        except Exception as error:  # noqa: BLE001
            answer["missing"] = f"{type(error).__name__}: {error}"
        return answer

    return look


def _judge(node: Node, answer: dict[str, Any], out: str | None) -> None:
    if "missing" in answer:
        raise InputError(
            f"Node {node.name} of the Ray cluster has no easyseg ({printable(answer['missing'])}; "
            f"its Python is {answer['python']}). {IMAGE_CURE.format(easyseg.__version__)}"
        )
    require_version(answer["version"], node.name)
    if answer.get("sees_out") is False:
        raise OutputError(
            f"Node {node.name} of the Ray cluster does not see {out}. Choose an output folder that "
            "all nodes share (NFS), or an object store such as s3://bucket/out."
        )
    if answer.get("can_write") is False:
        raise OutputError(
            f"Node {node.name} of the Ray cluster cannot write to {out}: permission denied. Let "
            "the user of its workers write there, or choose another output folder."
        )
    if answer["unseen"]:
        raise InputError(
            f"Node {node.name} of the Ray cluster does not see {answer['unseen'][0]}. Put it at "
            "the same path on all nodes (NFS), or give the URL of an object store such as "
            "s3://bucket/model.onnx."
        )


def require_version(theirs: str, node: str) -> None:
    """Raises InputError if a node has another version of easyseg than this process."""
    if theirs != easyseg.__version__:
        raise InputError(
            f"Node {node} of the Ray cluster has easyseg {theirs}, this process has "
            f"{easyseg.__version__}. Install the same on both. "
            f"{IMAGE_CURE.format(easyseg.__version__)}"
        )


@contextlib.contextmanager
def _probe_file(out: str | None) -> Iterator[str | None]:
    """A file in the folder of results, for the nodes to look for."""
    if out is None:
        yield None
        return
    path = Path(out, f".easyseg-probe-{uuid.uuid4().hex[:12]}")
    with output_errors(path):
        path.touch()
    try:
        yield str(path)
    finally:
        path.unlink(missing_ok=True)
