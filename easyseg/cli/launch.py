"""`easyseg launch`: the processes of one machine that train together."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import click

from easyseg.cli import command
from easyseg.cli.options import INTEGER
from easyseg.cli.train import train
from easyseg.errors import InputError
from easyseg.training.rendezvous import TF_CONFIG
from easyseg.utils.child_processes import ChildProcesses
from easyseg.utils.threads import thread_count

GRACE = 8.0  # seconds until processes that were told to end are killed
NVIDIA = Path("/proc/driver/nvidia/gpus")


@command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("-n", "--processes", "count", type=INTEGER, metavar="N", help="How many processes.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- train [DATA] ...")
def launch(count: int | None, words: tuple[str, ...]) -> int:
    """Train with several processes of this machine, each with its part of the cores or its own GPU.

    \b
    easyseg launch -n 2 -- train my_folder --epochs 30 -o runs/mine
    easyseg launch -n 2 -- train --resume runs/mine
    """  # noqa: D301  (\b is click's mark for lines to keep)
    if count is None or count < 2:
        given = "" if count is None else f", got {count}"
        raise InputError(f"-n, how many processes start, must be a whole number from 2{given}.")
    if words[:1] != ("train",):
        raise InputError(
            f"launch starts `easyseg train` only, as in `easyseg launch -n {count} -- train "
            f"my_folder`, got {' '.join(words) or 'no command'}."
        )
    _check_options(words[1:])
    environments = _environments(count, os.environ)
    workers = ",".join(f"127.0.0.1:{port}" for port in _free_ports(count))
    commands = [
        [sys.executable, "-m", "easyseg", *words, "--workers", workers, "--rank", str(rank)]
        for rank in range(count)
    ]
    output = _Output()
    with ChildProcesses(commands, environments, output.show) as processes:
        return _supervise(processes, output)


def _check_options(words: tuple[str, ...]) -> None:
    """Raises what is wrong with the options of `train`, once rather than in each process."""
    context = train.make_context("easyseg train", list(words))
    given = [f"--{name}" for name in ("workers", "rank") if context.params[name] is not None]
    if given:
        raise InputError(f"launch sets --workers and --rank; leave {' and '.join(given)} out.")


def _environments(count: int, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Variables of each process: its threads, and its GPU where there are some."""
    threads = str(max(1, thread_count() // count))
    common = {name: value for name, value in environment.items() if name != TF_CONFIG}
    common = {"OMP_NUM_THREADS": threads, "TF_NUM_INTRAOP_THREADS": threads, **common}
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        gpus = [str(i) for i in range(len(list(NVIDIA.glob("*"))))]
    else:
        gpus = [gpu for gpu in listed.split(",") if gpu.strip() not in ("", "-1")]
    if not gpus:  # else its messages may say why one is not used
        return [{"TF_CPP_MIN_LOG_LEVEL": "3", **common}] * count  # of the loss of a process, ours
    if len(gpus) < count:
        raise InputError(
            f"-n {count}: each process needs a GPU of its own, and there are {len(gpus)}; start "
            "fewer processes, or set CUDA_VISIBLE_DEVICES=-1 to train on the cores."
        )
    return [{**common, "CUDA_VISIBLE_DEVICES": gpus[rank]} for rank in range(count)]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("", 0))) for _ in range(count)]
        return [opened.getsockname()[1] for opened in sockets]


class _Output:
    """Prints what the processes write, each line with the rank of its process."""

    def __init__(self) -> None:
        self.last_errors: dict[int, str] = {}
        self._lock = threading.Lock()
        self._is_terminal = sys.stderr.isatty()

    def show(self, rank: int, is_error: bool, text: str) -> None:
        """Prints it; the state of a progress bar on a terminal only."""
        if text[0] == "\r":
            if self._is_terminal:
                self._print(f"\r[{rank}] {text[1:]}", is_error=is_error)
            return
        if is_error and text.startswith("easyseg: "):
            self.last_errors[rank] = text.removeprefix("easyseg: ").rstrip()
        self._print(f"[{rank}] {text}", is_error=is_error)

    def _print(self, text: str, *, is_error: bool) -> None:
        with self._lock, contextlib.suppress(OSError):
            click.echo(text, nl=False, err=is_error)


def _supervise(processes: ChildProcesses, output: _Output) -> int:
    """Waits for the end of all; the first failure ends them.

    Returns:
        0, or the exit code of the first that failed, as shells have it.
    """
    try:
        for _ in range(len(processes)):
            rank, code = processes.next_end() or (0, 0)
            if code:
                break
        else:
            processes.finish_output(GRACE)
            return 0
        _end(processes, signal.SIGTERM, len(processes) - 1)
    except KeyboardInterrupt:  # SIGTERM too
        _end(processes, signal.SIGINT, len(processes))
        raise click.Abort(*_advice(output, len(processes))) from None
    processes.finish_output(GRACE)
    if code < 0:
        message = f"was ended by {signal.Signals(-code).name}; resume the run with --resume."
    else:
        message = f"ended with exit code {code}: {output.last_errors.get(rank, 'no message')}"
    click.echo(f"easyseg: worker {rank} {message}", err=True)
    return 128 - code if code < 0 else code


def _advice(output: _Output, count: int) -> list[str]:
    """The command that resumes, if the chief named its own when it was stopped."""
    _, found, own = output.last_errors.get(0, "").partition(" easyseg train ")
    return [f"To resume: easyseg launch -n {count} -- train {own}"] if found else []


def _end(processes: ChildProcesses, number: int, running: int) -> None:
    """Lets the others end by themselves for a moment, then with a signal, then by force."""
    if number == signal.SIGINT:
        processes.send(number)
    else:
        running -= _count_ends(processes, running, GRACE / 3)
        processes.send(number)
    running -= _count_ends(processes, running, GRACE)
    if running:
        processes.send(signal.SIGKILL)
        _count_ends(processes, running, GRACE)


def _count_ends(processes: ChildProcesses, running: int, seconds: float) -> int:
    for ended in range(running):
        if processes.next_end(timeout=seconds) is None:
            return ended
    return running
