"""Ctrl-C and SIGTERM end a command: in order if possible, else within seconds."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

STOPPED = 130  # the exit code
LOST = b"\0"  # is the number of no signal
PATIENCE = 4  # seconds for foreign code to return


@contextlib.contextmanager
def stops(*, is_program: bool) -> Iterator[list[float]]:
    """Raises KeyboardInterrupt when a signal comes, so that what was done is kept.

    Python does so between two of its own instructions. Where foreign code does not return to them,
    a thread ends the process, which the next run cleans up after. Where the exception is ignored,
    as in destructors, the thread sends the signal again.

    Args:
        is_program: Whether the process has nothing else to do: then, signals end it at once
            afterwards.

    Yields:
        When signals came, in seconds of `time.monotonic`.
    """
    times: list[float] = []

    def stop(number: int, frame: Any) -> None:
        times.append(time.monotonic())
        signal.default_int_handler(number, frame)

    def unraisable(ignored: Any) -> None:
        if issubclass(ignored.exc_type, KeyboardInterrupt):
            told.send(LOST)
        else:
            hook(ignored)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    if before[signal.SIGINT] == signal.SIG_IGN:  # as of what a shell runs in the background
        del before[signal.SIGINT]
    noticed, told = socket.socketpair()
    hook, sys.unraisablehook = sys.unraisablehook, unraisable
    with noticed, told:
        told.setblocking(False)
        wakeup = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        watcher = threading.Thread(target=_watch, args=(noticed, stop, times), daemon=True)
        watcher.start()
        for number in before:
            signal.signal(number, stop)
        try:
            yield times
        finally:
            for number, handler in before.items():
                signal.signal(number, _end if is_program else handler)
            signal.set_wakeup_fd(wakeup)
            sys.unraisablehook = hook
            told.close()  # ends the thread
            watcher.join(PATIENCE + 1)


def _end(*_: Any) -> None:
    os._exit(STOPPED)


def _watch(noticed: socket.socket, stop: Callable[..., None], times: list[float]) -> None:
    """Ends the process when Python has not called `stop` long after a signal."""
    while number := noticed.recv(1):
        came = time.monotonic()
        if number == LOST:
            time.sleep(0.05)  # for the code that ignores it to end
            os.kill(os.getpid(), signal.SIGTERM)
            continue
        if signal.getsignal(number[0]) is not stop:  # a server has its own way to end
            continue
        while time.monotonic() < came + PATIENCE:
            if times and times[-1] > came - 0.5:  # the thread may be late
                break
            time.sleep(0.1)
        else:
            with contextlib.suppress(OSError):
                os.write(2, b"easyseg: stopped.\n")
            os._exit(STOPPED)
