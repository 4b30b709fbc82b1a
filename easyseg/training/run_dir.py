"""The directory of a training run: a bundle of the best epoch, and all that resuming needs.

config.json ...     the bundle of the best epoch, as `SemanticSegmentation` opens it
last/               the bundle of the last epoch
state.npz           what the next epoch starts with: weights, optimizer, history
results.csv         the history, a row for each epoch
config.yaml         the choices of the run, its data and its initial model

Each file is written whole or not at all. An epoch is finished once `state.npz` is written: after a
kill, one that is not in it is trained again.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import filelock
import numpy as np

from easyseg.errors import TrainingError
from easyseg.io.atomic import output_errors, remove_leftovers, write_bytes
from easyseg.utils.documents import MAX_YAML, parse_json, parse_yaml
from easyseg.utils.files import read_file

LAST = "last"
STATE, RESULTS, SETTINGS, LOCK = "state.npz", "results.csv", "config.yaml", ".lock"


class Stopped(KeyboardInterrupt):
    """Ctrl-C ended a run, which can be resumed.

    Attributes:
        run_dir: Its directory.
    """

    def __init__(self, run_dir: Path) -> None:
        super().__init__(
            f"stopped; SemanticSegmentation.resume({str(run_dir)!r}) continues the run."
        )
        self.run_dir = run_dir


class State(NamedTuple):
    """What an epoch starts with.

    Attributes:
        epoch: Finished epochs.
        phase: The phase that the optimizer belongs to.
        batch_size: The current one, which is smaller than the run's if memory ran out.
        accumulate: Batches whose gradients make one update, currently.
        history: Metrics of each finished epoch, as in results.csv.
        best: Index of the best epoch in the history; `None` before the first.
        ended: Whether the run is over, by its number of epochs or by patience.
        new_norms: Names of batch norms that had no statistics at the start.
        model: Values of the network's variables, in its order, states of dropout included.
        optimizer: Values of the optimizer's variables, running mean of weights included.
    """

    epoch: int
    phase: int
    batch_size: int
    accumulate: int
    history: list[dict[str, Any]]
    best: int | None
    ended: bool
    new_norms: list[str]
    model: list[np.ndarray]
    optimizer: list[np.ndarray]


def new_run_dir(path: Path) -> Path:
    """Makes `path`, or `path-2`, `path-3`, ... if it exists.

    Raises:
        OutputError: It cannot be made.
    """
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            run_dir = path if number == 1 else path.with_name(f"{path.name}-{number}")
            try:
                run_dir.mkdir()
            except FileExistsError:  # two runs that start at once get a directory each
                number += 1
            else:
                return run_dir


@contextlib.contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Keeps a second run out of the directory; a killed one leaves no lock.

    Raises:
        TrainingError: Another run is using it.
        Stopped: Ctrl-C, after which the run can be resumed.
    """
    lock = filelock.FileLock(run_dir / LOCK)
    with output_errors(run_dir):
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:  # to Python an OSError too
            raise TrainingError(
                f"another run is using {run_dir}; wait for its end, or choose another run_dir."
            ) from error
    try:
        for folder in (run_dir, run_dir / LAST):
            remove_leftovers(folder)
        yield
    except KeyboardInterrupt as stop:
        if has_state(run_dir) or has_begun(run_dir):
            raise Stopped(run_dir) from stop
        raise
    finally:
        lock.release()


def has_state(run_dir: Path) -> bool:
    """Whether there is a run that can be resumed."""
    return (run_dir / STATE).is_file()


def has_begun(run_dir: Path) -> bool:
    """Whether there is a run that was stopped before its first state, and can begin again."""
    return is_bare(run_dir) and (run_dir / SETTINGS).is_file()


def is_finished(run_dir: Path) -> bool:
    """Whether there is a run that is over, by its number of epochs or by patience.

    Raises:
        TrainingError: Its state is damaged.
    """
    return has_state(run_dir) and read_state(run_dir).ended


def read_report_parts(folder: Path | None) -> dict[str, Any]:
    """What a report written into the folder shows of the run there: "history" and "settings"."""
    if folder is None or not has_state(folder):
        return {}
    return {"history": read_state(folder).history, "settings": read_settings(folder)}


def is_bare(run_dir: Path) -> bool:
    """Whether there is nothing in the directory but what a run writes before its first state."""
    early = {SETTINGS, LAST}
    return run_dir.is_dir() and all(p.name in early or p.name[0] == "." for p in run_dir.iterdir())


def write_state(run_dir: Path, state: State) -> None:
    """Writes state.npz.

    Raises:
        OutputError: It cannot be written; the one of the epoch before stays.
    """
    write_bytes(run_dir / STATE, pack_state(state))


def pack_state(state: State) -> bytes:
    """The contents of state.npz."""
    values = state._asdict()
    arrays = {
        f"{kind}/{i:05}": value
        for kind in ("model", "optimizer")
        for i, value in enumerate(values.pop(kind))
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays, scalars=np.frombuffer(json.dumps(values).encode(), np.uint8))
    return buffer.getvalue()


def unpack_state(content: BinaryIO) -> State:
    """The state of what `pack_state` made; errors of any type if it is damaged."""
    with np.load(content) as file:
        if any(member.compress_type for member in file.zip.infolist()):  # and may be of any size
            raise ValueError("it is compressed")
        arrays = {name: file[name] for name in sorted(file.files)}
    scalars = parse_json(arrays.pop("scalars").tobytes())
    model, optimizer = (
        [value for name, value in arrays.items() if name.startswith(kind)]
        for kind in ("model/", "optimizer/")
    )
    return _checked(State(**scalars, model=model, optimizer=optimizer))


def read_state(run_dir: Path) -> State:
    """Reads state.npz.

    Raises:
        TrainingError: There is no run, or the file is damaged.
    """
    path = run_dir / STATE
    if not path.is_file():
        raise TrainingError(
            f"{run_dir} has no training run to resume: {STATE} is missing; start a new one."
        )
    try:
        with path.open("rb") as file:
            return unpack_state(file)
    except Exception as error:  # a value of any type may be anywhere in it
        raise TrainingError(
            f"{path} is damaged ({error}); start a new run from {run_dir / LAST}."
        ) from error


def _checked(state: State) -> State:
    counts = (state.epoch, state.phase, state.batch_size, state.accumulate)
    rows = all(isinstance(row, dict) for row in state.history)
    if not rows or not all(isinstance(count, int) for count in counts):
        raise TypeError("values of other types than a run writes")
    return state


def write_results(run_dir: Path, history: list[dict[str, Any]]) -> None:
    """Writes results.csv."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, history[0])
    writer.writeheader()
    writer.writerows(history)
    write_bytes(run_dir / RESULTS, text.getvalue().encode())


def write_settings(run_dir: Path, settings: Mapping[str, Any]) -> None:
    """Writes config.yaml: plain values."""
    import yaml  # noqa: PLC0415

    text = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)
    write_bytes(run_dir / SETTINGS, text.encode())


def read_settings(run_dir: Path) -> dict[str, Any]:
    """Reads config.yaml.

    Raises:
        TrainingError: There is no run, or the file is damaged.
    """
    path = run_dir / SETTINGS
    try:
        settings = parse_yaml(read_file(path, 4 * MAX_YAML).decode())
        settings["training"] = dict(settings["training"])
    except FileNotFoundError as error:
        raise TrainingError(
            f"{run_dir} has no training run: {SETTINGS} is missing; give the directory of a run."
        ) from error
    except Exception as error:  # likewise
        raise TrainingError(f"{path} cannot be read ({error}); start a new run.") from error
    return settings
