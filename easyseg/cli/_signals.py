"""Ctrl-C and SIGTERM end a command: in order if possible, else within seconds."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

STOPPED = 130  # the exit code
PATIENCE = 4  # seconds for foreign code to return


class Stop(KeyboardInterrupt):
    """Raised by a signal. If it is gone and the command is not, somebody has swallowed it."""


class _Stops:
    """What has come, and what became of it.

    Attributes:
        times: When, in seconds of `time.monotonic`.
    """

    def __init__(self) -> None:
        self.times: list[float] = []
        self._last: Callable[[], Stop | None] = lambda: None

    def handle(self, *_: Any) -> None:
        """Raises a `Stop`, to which no variable refers."""
        raise self._new()

    def is_swallowed(self) -> bool:
        """Whether the last one is gone."""
        return bool(self.times) and self._last() is None

    def _new(self) -> Stop:
        error = Stop()
        self.times.append(time.monotonic())
        self._last = weakref.ref(error)
        return error


@contextlib.contextmanager
def stops(*, is_program: bool) -> Iterator[list[float]]:
    """Raises KeyboardInterrupt when a signal comes, so that what was done is kept.

    Python does so between two of its own instructions. Where foreign code does not return to them,
    a thread ends the process, which the next run cleans up after. Where the exception is swallowed,
    as in destructors, the thread sends the signal again.

    Args:
        is_program: Whether the process has nothing else to do: then, signals end it at once
            afterwards.

    Yields:
        When signals came, in seconds of `time.monotonic`.
    """
    state = _Stops()

    def unraisable(ignored: Any) -> None:
        if not issubclass(ignored.exc_type, Stop):
            hook(ignored)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    if before[signal.SIGINT] == signal.SIG_IGN:  # as of what a shell runs in the background
        del before[signal.SIGINT]
    noticed, told = socket.socketpair()
    hook, sys.unraisablehook = sys.unraisablehook, unraisable
    with noticed, told:
        told.setblocking(False)
        wakeup = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        watcher = threading.Thread(target=_watch, args=(noticed, state), daemon=True)
        watcher.start()
        for number in before:
            signal.signal(number, state.handle)
        try:
            yield state.times
        finally:
            for number, handler in before.items():
                signal.signal(number, _end if is_program else handler)
            signal.set_wakeup_fd(wakeup)
            sys.unraisablehook = hook
            told.close()  # ends the thread
            watcher.join(1)


def _end(*_: Any) -> None:
    os._exit(STOPPED)


def _watch(noticed: socket.socket, state: _Stops) -> None:
    """Ends the process when Python does not notice a signal, and sends again what got lost."""
    seen, pending, gone = 0, 0.0, 0.0
    while (numbers := _receive(noticed)) != b"":
        now = time.monotonic()
        if numbers and signal.getsignal(numbers[-1]) == state.handle:  # servers have their own
            pending = pending or now
        if len(state.times) > seen:
            seen, pending = len(state.times), 0.0
        if pending and now > pending + PATIENCE:
            with contextlib.suppress(OSError):
                os.write(2, b"easyseg: stopped.\n")
            _end()
        gone = (gone or now) if state.is_swallowed() else 0.0
        if gone and now > gone + 1:
            gone = 0.0
            os.kill(os.getpid(), signal.SIGTERM)


def _receive(noticed: socket.socket) -> bytes | None:
    """The numbers of signals; `None` if there are none for now, empty at the end."""
    noticed.settimeout(0.2)
    try:
        return noticed.recv(64)
    except TimeoutError:
        return None
