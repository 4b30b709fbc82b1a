"""Which processes train together, and their meeting before TensorFlow connects them.

TensorFlow would wait for a missing process for an hour, and names neither who is missing nor what
differs. Here all of them greet the first one, on the port that TensorFlow uses afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any, NamedTuple

from easyseg.errors import ConfigError, TrainingError
from easyseg.utils.documents import parse_json

TF_CONFIG = "TF_CONFIG"
WAIT = "EASYSEG_WORKERS_WAIT"  # seconds
DEFAULT_WAIT = 300.0
RETRY = 0.2  # seconds
GREETING_SECONDS = 5.0
LONGEST = 1 << 16  # bytes of a greeting
PACKAGES = ("easyseg", "keras", "tensorflow")
EXAMPLE = '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}'


class Cluster(NamedTuple):
    """The processes of a run.

    Attributes:
        workers: `host:port` of each; the first one is the chief, which writes the run.
        rank: Which of them this process is.
    """

    workers: tuple[str, ...]
    rank: int

    def to_environment(self) -> dict[str, str]:
        """The variable that TensorFlow reads."""
        task = {"type": "worker", "index": self.rank}
        config = {"cluster": {"worker": list(self.workers)}, "task": task}
        return {TF_CONFIG: json.dumps(config)}


def make_cluster(workers: list[str], rank: int) -> Cluster:
    """Checks addresses and rank.

    Raises:
        ConfigError: One of them breaks a rule.
    """
    for worker in workers:
        host, _, port = worker.rpartition(":")
        if not (host and port.isdecimal() and 0 < int(port) < 65536):
            raise ConfigError(
                f"workers: expected host:port for each, such as node1:2222, got {worker!r}."
            )
    twice = next((worker for worker in workers if workers.count(worker) > 1), None)
    if twice is not None:
        raise ConfigError(f"workers: {twice} is listed twice; give each process a port of its own.")
    if len(workers) < 2:
        raise ConfigError(
            f"workers: expected two or more, with commas, got {', '.join(workers) or 'none'}; one "
            "process trains without."
        )
    if not 0 <= rank < len(workers):
        raise ConfigError(
            f"rank={rank} must be from 0 to {len(workers) - 1}: there are {len(workers)} workers."
        )
    return Cluster(tuple(workers), rank)


def cluster_of(environment: Mapping[str, str]) -> Cluster | None:
    """The cluster that `TF_CONFIG` names; `None` without it, or if it names one process only.

    Raises:
        ConfigError: It is malformed.
    """
    text = environment.get(TF_CONFIG, "").strip()
    if not text:
        return None
    try:
        config = parse_json(text)
        jobs = {str(name): list(map(str, tasks)) for name, tasks in config["cluster"].items()}
        kind, index = str(config["task"]["type"]), config["task"]["index"]
        rank = int(index)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ConfigError(
            f"the environment variable {TF_CONFIG} is malformed: expected {EXAMPLE}, got {text!r}."
        ) from None
    if kind != "worker" or set(jobs) != {"worker"}:
        named = ", ".join(sorted({kind, *jobs} - {"worker"}))
        raise ConfigError(
            f"the environment variable {TF_CONFIG} has tasks of type {named}; easyseg trains with "
            "tasks of type worker only, of which the first writes the run."
        )
    if len(jobs["worker"]) == 1 and rank == 0:
        return None
    try:
        return make_cluster(jobs["worker"], rank)
    except ConfigError as error:
        raise ConfigError(f"the environment variable {TF_CONFIG}: {error}") from error


def wait_seconds() -> float:
    """How long workers wait for each other."""
    text = os.environ.get(WAIT, "")
    try:
        seconds = float(text or DEFAULT_WAIT)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"{WAIT}={text!r} must be a number of seconds above 0.")
    return seconds


def versions() -> dict[str, str]:
    """Versions that all workers must have."""
    return {package: metadata.version(package) for package in PACKAGES}


def meet(cluster: Cluster) -> None:
    """Returns when all processes have greeted each other.

    Raises:
        TrainingError: One does not come in time, is another version, or has the same rank; a port
            is in use.
    """
    greeting = {
        "rank": cluster.rank,
        "workers": list(cluster.workers),
        "versions": versions(),
    }
    deadline = time.monotonic() + wait_seconds()
    with _listening(cluster) as server:
        if cluster.rank == 0:
            _welcome(server, cluster, greeting, deadline)
    if cluster.rank:
        _greet(cluster, greeting, deadline)


@contextlib.contextmanager
def _listening(cluster: Cluster) -> Iterator[socket.socket]:
    """This process's own port, which must be free."""
    host, _, port = cluster.workers[cluster.rank].rpartition(":")
    del host  # another name of this machine, perhaps one that only the others know
    try:
        server = socket.create_server(("", int(port)), backlog=len(cluster.workers))
    except OSError as error:
        raise TrainingError(
            f"worker {cluster.rank} cannot use port {port} of {cluster.workers[cluster.rank]}: "
            f"{error.strerror or error}. Choose another port, or end the process that uses it."
        ) from error
    with server:
        yield server


def _welcome(
    server: socket.socket, cluster: Cluster, expected: Mapping[str, Any], deadline: float
) -> None:
    """The chief's part: waits for all, then tells all that they are complete, or what is wrong."""
    with contextlib.ExitStack() as stack:
        ranks: set[Any] = set()
        connections: list[socket.socket] = []
        problem = ""
        while len(ranks) < len(cluster.workers) - 1 and not problem:
            server.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                connection = stack.enter_context(server.accept()[0])
            except TimeoutError:
                problem = _missing(cluster, ranks)
                break
            connection.settimeout(GREETING_SECONDS)
            try:
                other = _receive(connection)
            except (OSError, ValueError):  # not a worker of easyseg, or one that has ended
                continue
            problem = _difference(expected, other)
            rank = other.get("rank")
            if not problem and rank in (0, *ranks):
                problem = f"two processes are worker {rank}; give each process a rank of its own."
            ranks.add(rank)
            connections.append(connection)
        for connection in connections:
            with contextlib.suppress(OSError):
                _send(connection, {"problem": problem})
    if problem:
        raise TrainingError(problem)


def _greet(cluster: Cluster, greeting: Mapping[str, Any], deadline: float) -> None:
    """The part of the others: tries until the chief answers."""
    host, _, port = cluster.workers[0].rpartition(":")
    reason: object = ""
    while time.monotonic() < deadline:
        left = max(deadline - time.monotonic(), 0.01)
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=left) as chief:
                _send(chief, greeting)
                chief.settimeout(left + 1)  # the chief's own limit comes first
                answer = _receive(chief)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            time.sleep(RETRY)
            continue
        if answer.get("problem"):
            raise TrainingError(str(answer["problem"]))
        return
    raise TrainingError(
        f"worker {cluster.rank} waited {wait_seconds():g} seconds for worker 0, "
        f"{cluster.workers[0]} ({reason}); start all workers within that time, and check the "
        f"addresses. {WAIT} sets the seconds."
    )


def _missing(cluster: Cluster, present: set[Any]) -> str:
    missing = [
        f"{rank} ({address})"
        for rank, address in enumerate(cluster.workers)
        if rank and rank not in present
    ]
    return (
        f"after {wait_seconds():g} seconds there is no worker {', '.join(missing)}; start all "
        f"workers within that time. {WAIT} sets the seconds."
    )


def _difference(expected: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    rank, workers = other.get("rank"), expected["workers"]
    if other.get("workers") != workers:
        return (
            f"worker {rank} was started with the workers {other.get('workers')}, worker 0 with "
            f"{workers}; start all with the same list."
        )
    for package, version in expected["versions"].items():
        theirs = dict(other.get("versions") or {}).get(package)
        if theirs != version:
            return (
                f"worker {rank} has {package} {theirs}, worker 0 has {version}; install the same "
                "version everywhere."
            )
    return ""


def _send(connection: socket.socket, message: Mapping[str, Any]) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


def _receive(connection: socket.socket) -> dict[str, Any]:
    with connection.makefile("rb") as file:
        line = file.readline(LONGEST)
    if not line.endswith(b"\n"):
        raise ValueError("no answer")
    message = parse_json(line)
    if not isinstance(message, dict):
        raise ValueError("not a greeting")  # noqa: TRY004  (of another program)
    return message
