"""What `segment` and `evaluate` take for a Ray cluster, and their runs on one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from easyseg.cli.options import INTEGER, NUMBER, ChosenModel, group
from easyseg.cli.summary import folder_run, report_folder
from easyseg.errors import InputError
from easyseg.io.remote import is_object

if TYPE_CHECKING:
    from easyseg.datasets import DatasetOptions
    from easyseg.evaluation.scores import Scores

MEMORY = 2_000_000_000  # as in `easyseg.distributed`, which loads more
INSTEAD = {  # of options that runs on a cluster do not have
    "shard": "a cluster divides the images among its nodes by itself; leave one of both out",
    "bands": "windows of a TIFF are dealt out on one machine; give workers= without ray=",
    "report": "its charts need one process; run again without ray=, or leave report= out",
}
DEFAULT = "default"  # --ray without an address


def _not_a_source(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Refuses a path in the place of an address: in `--ray images` no source would be left."""
    is_word = value in (None, DEFAULT, "auto", "local")
    if not is_word and os.path.exists(str(value)):  # noqa: PTH110  (no raising)
        raise click.ClickException(
            f"--ray {value}: expected the address of a cluster, got a file or folder. Give --ray "
            "last, or before another option."
        )
    return value


RAY_OPTIONS: tuple[Callable[..., Any], ...] = (
    click.option(
        "--ray",
        is_flag=False,
        flag_value=DEFAULT,
        callback=_not_a_source,
        metavar="[ADDRESS]",
        help="Run on a Ray cluster: auto, HOST:PORT or local; the last word, or before another "
        "option.  [without ADDRESS: that of RAY_ADDRESS, else this computer]",
    ),
    click.option("--cpus", type=NUMBER, default=1, show_default=True, help="Cores of each."),
    click.option("--gpus", type=NUMBER, default=0, show_default=True, help="GPUs of each."),
    click.option(
        "--memory",
        type=INTEGER,
        default=MEMORY,
        show_default=True,
        metavar="BYTES",
        help="Memory that Ray reserves for each.",
    ),
)
WORKERS = click.option(
    "--workers",
    type=INTEGER,
    help="Processes on the cluster.  [default: as many as its resources allow]",
)
WORKERS_OF_A_RUN = click.option(
    "--workers",
    type=INTEGER,
    help="Processes on the cluster, or here for a TIFF by windows.  [default: as many as the "
    "cluster's resources allow; here 1]",
)
MAX_FAILURES = click.option(
    "--max-failures",
    type=INTEGER,
    metavar="N",
    help="On a cluster, stop once more images than this have failed.",
)


def _chosen(**values: Any) -> dict[str, Any] | None:
    """Arguments of `easyseg.distributed`; `None` where there is no cluster."""
    if values["ray"] is None:
        given = {"cpus": 1, "gpus": 0, "memory": MEMORY}
        for name, value in values.items():
            if value is not None and value != given.get(name):
                raise InputError(f"{name}={value!r} is for a cluster; give ray= too, or leave it.")
        return None
    return values | {"ray": None if values["ray"] == DEFAULT else values["ray"]}


def _chosen_for_run(**values: Any) -> dict[str, Any] | None:
    """The same, but --workers may be processes of this computer."""
    return _chosen(**(values if values["ray"] is not None else values | {"workers": None}))


ray_options = group("cluster", (*RAY_OPTIONS, WORKERS), _chosen)
"""Adds the options of a cluster, as arguments of `easyseg.distributed`, or `None` without one."""

ray_run_options = group("cluster", (*RAY_OPTIONS, WORKERS_OF_A_RUN, MAX_FAILURES), _chosen_for_run)
"""The same for a run over images."""


def segment_on(
    cluster: Mapping[str, Any],
    model: ChosenModel,
    sources: Sequence[str],
    out: str | None,
    **options: Any,
) -> int:
    """Segments images on a cluster and prints a summary; returns the exit code."""
    from easyseg.distributed import segment  # noqa: PLC0415

    if out is None:
        raise InputError("out= is missing; a cluster writes into a folder, or an object store.")
    with folder_run():
        summary = segment(sources, out, **model.arguments(), **cluster, **options)
    return report_folder(summary)


def local_path(out: str | None) -> Path | None:
    """Where results go without a cluster.

    Raises:
        InputError: Into an object store.
    """
    if out is not None and is_object(out):
        raise InputError(f"out={out!r} is in an object store, to which clusters write; give ray=.")
    return None if out is None else Path(out)


def evaluate_on(
    cluster: Mapping[str, Any],
    model: ChosenModel,
    data: str,
    options: DatasetOptions,
    **choices: Any,
) -> Scores:
    """Measures a model on a cluster."""
    from easyseg.distributed import evaluate  # noqa: PLC0415

    chosen = {**options.to_dict(), **choices}
    return evaluate(data, **model.arguments(), **cluster, **chosen)


def refuse_on_cluster(**values: Any) -> None:
    """Raises InputError for an option that a cluster does not have."""
    for name, value in values.items():
        if value is not None:
            raise InputError(f"{name}= is not available with ray=: {INSTEAD[name]}.")
