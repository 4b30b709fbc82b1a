"""The folder of a training run: a bundle of the best epoch, and all that is needed to go on.

config.json ...     the bundle of the best epoch, as `SemanticSegmentation` opens it
last/               the bundle of the last epoch
state.npz           what the next epoch begins with: weights, optimizer, figures so far
results.csv         a row for each epoch
config.yaml         the choices of the run, its data and its start

Each file is written whole or not at all. `state.npz` is the last one of an epoch that counts:
after a kill, the epoch that it does not know of is done again.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import numpy as np

from easyseg.errors import TrainingError
from easyseg.io.atomic import output_errors, write_bytes

__all__ = [
    "LAST",
    "State",
    "has_state",
    "is_bare",
    "locked",
    "new_folder",
    "read_settings",
    "read_state",
    "write_results",
    "write_settings",
    "write_state",
]

LAST = "last"
STATE, RESULTS, SETTINGS, LOCK = "state.npz", "results.csv", "config.yaml", ".lock"


class State(NamedTuple):
    """What an epoch begins with.

    Attributes:
        epoch: Epochs that are done.
        phase: The phase whose optimizer this is.
        batch_size: As it is now; memory may have been too small for the first one.
        accumulate: Batches whose gradients make one update, now.
        rows: Figures of the epochs done, as in results.csv.
        best: Row of the best epoch; `None` before the first.
        ended: Whether the run is over, because all epochs are done or patience is.
        new_norms: Names of batch norms that came without statistics.
        model: Values of the network's variables, in its order, states of dropout included.
        optimizer: Values of the optimizer's variables, running mean of weights included.
    """

    epoch: int
    phase: int
    batch_size: int
    accumulate: int
    rows: list[dict[str, Any]]
    best: int | None
    ended: bool
    new_norms: list[str]
    model: list[np.ndarray]
    optimizer: list[np.ndarray]


def new_folder(runs: Path, name: str) -> Path:
    """Makes `runs/name`, or `name-2`, `name-3`, ... if it is there.

    Raises:
        OutputError: The folder cannot be made.
    """
    with output_errors(runs):
        runs.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            folder = runs / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:  # two runs that begin at once get a folder each
                number += 1
            else:
                return folder


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps a second run out of the folder; a killed one leaves no lock.

    Raises:
        TrainingError: A run is going on there.
    """
    lock = filelock.FileLock(folder / LOCK)
    with output_errors(folder):
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:  # to Python an OSError too
            raise TrainingError(
                f"a run is going on in {folder}; wait for its end, or give this one another name."
            ) from error
    try:
        yield
    finally:
        lock.release()


def has_state(folder: Path) -> bool:
    """Whether a run in the folder can go on."""
    return (folder / STATE).is_file()


def is_bare(folder: Path) -> bool:
    """Whether there is nothing in the folder but what a run writes before its first state."""
    own = {SETTINGS, LAST}
    return folder.is_dir() and all(p.name in own or p.name[0] == "." for p in folder.iterdir())


def write_state(folder: Path, state: State) -> None:
    """Writes state.npz.

    Raises:
        OutputError: It cannot be written; the one of the epoch before stays.
    """
    values = state._asdict()
    arrays = {
        f"{kind}/{i:05}": value
        for kind in ("model", "optimizer")
        for i, value in enumerate(values.pop(kind))
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays, rest=np.frombuffer(json.dumps(values).encode(), np.uint8))
    write_bytes(folder / STATE, buffer.getvalue())


def read_state(folder: Path) -> State:
    """Reads state.npz.

    Raises:
        TrainingError: There is no run in the folder, or the file is damaged.
    """
    path = folder / STATE
    if not path.is_file():
        raise TrainingError(
            f"{folder} holds no training run that could go on: {STATE} is missing; begin a new one."
        )
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            arrays = {name: file[name] for name in sorted(file.files)}
        rest = json.loads(arrays.pop("rest").tobytes())
        model, optimizer = (
            [value for name, value in arrays.items() if name.startswith(kind)]
            for kind in ("model/", "optimizer/")
        )
        return State(**rest, model=model, optimizer=optimizer)
    except (OSError, ValueError, LookupError, TypeError, zipfile.BadZipFile) as error:
        raise TrainingError(
            f"{path} is damaged ({error}); begin a new run from {folder / LAST}."
        ) from error


def write_results(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Writes results.csv anew."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(folder / RESULTS, text.getvalue().encode())


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Writes config.yaml: plain values."""
    import yaml  # noqa: PLC0415

    text = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)
    write_bytes(folder / SETTINGS, text.encode())


def read_settings(folder: Path) -> dict[str, Any]:
    """Reads config.yaml.

    Raises:
        TrainingError: There is no run in the folder, or the file is damaged.
    """
    import yaml  # noqa: PLC0415

    path = folder / SETTINGS
    try:
        settings = yaml.safe_load(path.read_text("utf-8"))
        settings["training"] = dict(settings["training"])
    except FileNotFoundError as error:
        raise TrainingError(
            f"{folder} holds no training run: {SETTINGS} is missing; give the folder of a run."
        ) from error
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError) as error:
        raise TrainingError(f"{path} cannot be read ({error}); begin a new run.") from error
    return settings
