"""Child processes that live no longer than this one, and whose output is read line by line."""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Self

PR_SET_PDEATHSIG = 1  # of prctl, Linux


class ChildProcesses:
    r"""Processes that start together. Use as a context: at its end none is left.

    On Linux the kernel kills them if this process is killed. They are in sessions of their own, so
    that Ctrl-C reaches only this process, which passes it on.

    Args:
        commands: Words of each.
        environments: Variables of each.
        show: Called in threads with the number of a process, whether it wrote to stderr, and what
            it wrote: whole lines with their "\n", and the state of a progress bar after a "\r".
    """

    def __init__(
        self,
        commands: Sequence[Sequence[str]],
        environments: Sequence[Mapping[str, str]],
        show: Callable[[int, bool, str], None],
    ) -> None:
        self._ended: queue.Queue[tuple[int, int]] = queue.Queue()
        self._show = show
        die_with_parent = _die_with_parent()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []
        try:
            for command, environment in zip(commands, environments, strict=True):
                self._processes.append(
                    subprocess.Popen(  # noqa: S603  (the caller's command)
                        list(command),
                        env=dict(environment),
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        start_new_session=True,
                        preexec_fn=die_with_parent,  # noqa: PLW1509  (no thread has started)
                    )
                )
        except BaseException:
            self.__exit__()
            for process in self._processes:
                process.communicate()  # closes its pipes, which no thread reads
            raise
        self._threads = [
            threading.Thread(target=target, args=arguments, daemon=True)
            for number, process in enumerate(self._processes)
            for target, arguments in (
                (self._read, (number, False, process.stdout)),
                (self._read, (number, True, process.stderr)),
                (self._wait, (number, process)),
            )
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.send(signal.SIGKILL)
        for process in self._processes:
            process.wait()
        self.finish_output(1)

    def __len__(self) -> int:
        return len(self._processes)

    def next_end(self, timeout: float | None = None) -> tuple[int, int] | None:
        """Number and exit code (minus the signal) of the next that ends; `None` after `timeout`."""
        with contextlib.suppress(queue.Empty):
            return self._ended.get(timeout=timeout)
        return None

    def send(self, number: int) -> None:
        """Sends a signal to those that run."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    def finish_output(self, timeout: float) -> None:
        """Waits until all that ended processes wrote has been shown."""
        for thread in self._threads:
            thread.join(timeout)

    def _wait(self, number: int, process: subprocess.Popen[bytes]) -> None:
        self._ended.put((number, process.wait()))

    def _read(self, number: int, is_error: bool, pipe: IO[bytes]) -> None:
        rest, decoder = "", codecs.getincrementaldecoder("utf-8")("replace")
        with pipe:
            while chunk := os.read(pipe.fileno(), 1 << 16):
                *lines, rest = (rest + decoder.decode(chunk)).split("\n")
                for line in lines:
                    self._show(number, is_error, line.rstrip("\r").rpartition("\r")[2] + "\n")
                if "\r" in rest:
                    rest = rest.rpartition("\r")[2]
                    self._show(number, is_error, "\r" + rest)
        if rest:
            self._show(number, is_error, rest + "\n")


def _die_with_parent() -> Callable[[], Any] | None:
    """What a new process calls so that it is killed when this one ends; `None` where unknown."""
    if not sys.platform.startswith("linux"):
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def call() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has ended already
            os._exit(1)

    return call
