"""The processes that train one network together: what they exchange.

Each computes a part of every batch. TensorFlow's collectives, as `MultiWorkerMirroredStrategy` sets
them up, add what they computed; variables belong to each process alone, and stay equal because each
update is. The chief alone decides what needs deciding, and the others are told.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from easyseg._keras import backend
from easyseg.errors import ConfigError, TrainingError
from easyseg.training.rendezvous import Cluster, cluster_of, meet
from easyseg.utils.documents import parse_json

CHUNK = 1 << 23  # numbers in one message
LOST = ("UnavailableError", "AbortedError", "CancelledError", "DeadlineExceededError")


class Workers:
    """The processes of a run; by itself, one process alone.

    Attributes:
        rank: Number of this process.
        count: How many there are.
    """

    rank, count = 0, 1

    @property
    def is_chief(self) -> bool:
        """Whether this process validates, decides, logs and writes the run directory."""
        return self.rank == 0

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Calls a function within which TensorFlow's replica context reduces over all workers."""
        return function(*args)

    def tell(self, make: Callable[[], bytes]) -> bytes:
        """What the chief makes, on all workers; all must call it."""
        return make()

    def decide(self, make: Callable[[], Any]) -> Any:
        """What the chief decides, as plain values; all must call it."""
        return make()

    def require_same(self, facts: Mapping[str, Any]) -> None:
        """Raises, on all workers, if one differs; all must call it with the same keys.

        Raises:
            TrainingError: Names the worker and what differs.
        """

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Within, the loss of another worker is one clear error."""
        yield


ALONE = Workers()


class _Several(Workers):
    def __init__(self, cluster: Cluster) -> None:
        import tensorflow as tf  # noqa: PLC0415

        self.rank, self.count = cluster.rank, len(cluster.workers)
        self._cluster = cluster
        self._tf = tf
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy()

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.int64)])
        def total(part: Any) -> Any:
            return self.run(
                lambda: tf.distribute.get_replica_context().all_reduce("SUM", tf.identity(part))
            )

        self._total = total

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        return self._strategy.run(function, args=args)

    def tell(self, make: Callable[[], bytes]) -> bytes:
        content = make() if self.is_chief else b""  # its errors are not about another worker
        with self.explained():
            size = int(self._sum(np.array([len(content)]))[0])
            words = np.zeros(-(-size // 8), np.int64)
            if self.is_chief:
                words.view(np.uint8)[:size] = np.frombuffer(content, np.uint8)
            for begin in range(0, len(words), CHUNK):
                part = slice(begin, begin + CHUNK)
                words[part] = self._sum(words[part])
        return words.tobytes()[:size]

    def decide(self, make: Callable[[], Any]) -> Any:
        return parse_json(self.tell(lambda: json.dumps(make()).encode()))

    def require_same(self, facts: Mapping[str, Any]) -> None:
        table = np.zeros((self.count, len(facts)), np.int64)
        table[self.rank] = [_digest(value) for value in facts.values()]
        with self.explained():
            table = self._sum(table.ravel()).reshape(table.shape)
        for rank in range(1, self.count):
            names = [name for i, name in enumerate(facts) if table[rank, i] != table[0, i]]
            if names:
                raise TrainingError(
                    f"worker {rank} ({self._cluster.workers[rank]}) differs from worker 0 in "
                    f"{', '.join(names)}; start all workers with the same options, the same data "
                    "and the same model."
                )

    def _sum(self, values: np.ndarray) -> np.ndarray:
        """The sum of `(n,) int64` over all workers."""
        return np.asarray(self._total(values.astype(np.int64)))

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        try:
            yield
        except self._tf.errors.OpError as error:
            if type(error).__name__ not in LOST:
                raise
            raise TrainingError(
                f"worker {self.rank} ({self._cluster.workers[self.rank]}) lost the connection to "
                "another worker, which has ended or cannot be reached; its own messages say why. "
                "Resume the run with all workers: it continues after its last whole epoch."
            ) from error


def _digest(value: object) -> int:
    """63 bits of a hash of plain values or an array."""
    content = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") >> 1


def join(*, required: bool) -> Workers:
    """The workers that the environment variable `TF_CONFIG` names, once all have come.

    TensorFlow connects processes only before its first operation, so this comes before a network
    is loaded.

    Args:
        required: Whether the variable must name some.

    Raises:
        ConfigError: The variable is malformed or missing, Keras has another backend, or TensorFlow
            has run an operation.
        TrainingError: A worker does not come in time, or does not fit.
    """
    cluster = cluster_of(os.environ)
    if cluster is not None:
        return _join(cluster)
    if required:
        raise ConfigError(
            "distribute='multi_worker' needs the addresses of the workers: start the processes "
            "with `easyseg launch`, or each with `easyseg train`, the workers' addresses and its "
            "rank (docs/scale.md); or set the environment variable TF_CONFIG."
        )
    return ALONE


@functools.cache
def _join(cluster: Cluster) -> Workers:
    if backend() != "tensorflow":
        raise ConfigError(
            "distribute='multi_worker' is not available with Keras's backend "
            f"{backend()!r}; set KERAS_BACKEND=tensorflow."
        )
    import tensorflow as tf  # noqa: PLC0415
    from tensorflow.python.eager import context  # noqa: PLC0415  (no public way to ask)

    if context.context()._context_handle is not None:
        raise ConfigError(
            "distribute='multi_worker' must come first: TensorFlow, which this process has used "
            "already, connects processes only before its first operation. Call fine_tune before "
            "any network is loaded, in a process of its own, or use `easyseg train`."
        )
    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) > 1:
        raise ConfigError(
            f"distribute='multi_worker' trains on one GPU in each process, and this one sees "
            f"{len(gpus)}; start it with `easyseg launch`, which gives each its own, or set "
            "CUDA_VISIBLE_DEVICES."
        )
    meet(cluster)
    return _Several(cluster)
