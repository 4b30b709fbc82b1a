"""How workers that train together stay the same: each epoch ends with the chief's state."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from easyseg._keras import keras, ops
from easyseg.errors import TrainingError
from easyseg.training.run_dir import State, pack_state, unpack_state
from easyseg.training.workers import Workers


class TellWorkers(keras.callbacks.Callback):
    """After each epoch, tells the other workers the chief's state; after the user's callbacks.

    Args:
        workers: The processes.
        state: Returns the state.
    """

    def __init__(self, workers: Workers, state: Callable[[], State]) -> None:
        super().__init__()
        self._workers, self._state = workers, state

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Refuses to stop where the others would wait for the next batch.

        Raises:
            TrainingError: A callback stopped within an epoch.
        """
        if self.model.stop_training and batch + 1 < self.params["steps"]:
            raise TrainingError(
                "a callback stopped training within an epoch, which several workers cannot do "
                "together; set stop_training in on_epoch_end."
            )

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Tells."""
        tell_state(self._workers, self._state)
        self._workers.decide(lambda: bool(self.model.stop_training))


class FollowChief(keras.callbacks.Callback):
    """After each epoch, waits for the chief's state, however long it validates.

    Args:
        workers: The processes.
        network: The network; the model that `fit` trains shares its variables.
        state: What the next epoch starts with; `state` is always that of the last finished epoch.
        phase: Number of the phase.
    """

    def __init__(self, workers: Workers, network: Any, state: State, *, phase: int) -> None:
        super().__init__()
        self._workers, self._network = workers, network
        self.state, self.phase = state, phase

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Takes the state, and stops if the chief does."""
        self.state = receive_state(self._workers)
        assign_network(self._network, self.state.model, rank=self._workers.rank)
        assign(self.model.optimizer.variables, self.state.optimizer)
        self.model.stop_training = self._workers.decide(_chief_only)


def tell_state(workers: Workers, state: Callable[[], State]) -> None:
    """The chief's part of `receive_state`."""
    workers.tell(lambda: pack_state(state()))


def receive_state(workers: Workers) -> State:
    """The state that the chief tells."""
    return unpack_state(io.BytesIO(workers.tell(_chief_only)))


def assign_network(network: Any, values: Sequence[Any], *, rank: int) -> None:
    """Sets the variables of a network; dropout draws other numbers in each worker."""
    assign(network.variables, values)
    for variable in network.variables:
        if rank and variable.path.endswith("seed_generator_state"):
            seed, drawn = ops.convert_to_numpy(variable)
            variable.assign(np.array([(int(seed) + rank) % 2**32, drawn], np.uint32))


def assign(variables: Sequence[Any], values: Sequence[Any]) -> None:
    """Sets variables, in their order."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _chief_only() -> Any:
    raise AssertionError("only the chief makes what is told")
