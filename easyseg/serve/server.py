"""Running the application in uvicorn, in one process or several, until it is told to end."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import multiprocessing
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from multiprocessing import resource_tracker
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from easyseg.api import SemanticSegmentation
from easyseg.errors import InputError, os_reason
from easyseg.serve.app import create_app
from easyseg.serve.connection import Connection
from easyseg.serve.limits import ServeLimits
from easyseg.serve.logs import log_as_json
from easyseg.serve.service import Service

log = logging.getLogger(__name__)

BACKLOG = 1024
GRACE_SECONDS = 30
REFUSING_SECONDS = 0.5  # in which connections that wait to be accepted are answered 503
SHORTEST_LIFE = 5  # seconds; a worker that ends sooner would end again


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a process serves.

    Attributes:
        models: Models by public name, as `SemanticSegmentation` takes them.
        options: Its other arguments.
        limits: What is allowed.
        quiet: Whether requests are not logged.
    """

    models: Mapping[str, str]
    options: Mapping[str, Any]
    limits: ServeLimits
    quiet: bool = False


class _Server(uvicorn.Server):
    """Refuses new work for a moment before it ends, so that no accepted request is lost."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service, self._end = service, 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """SIGTERM or Ctrl-C: not ready from now on; a second one ends at once."""
        if self._service.closing:
            self.force_exit = self.should_exit = True
        self._service.closing, self._end = True, time.monotonic() + REFUSING_SECONDS

    async def on_tick(self, counter: int) -> bool:
        """Whether to end, asked ten times a second."""
        starter = multiprocessing.parent_process()  # of one of several workers
        if starter is not None and not starter.is_alive():
            self.force_exit = True
            return True
        if self._service.closing and time.monotonic() > self._end:
            self.should_exit = True
        return await super().on_tick(counter)


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        InputError: It is not possible.
    """
    listener: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        if listener is not None:
            listener.close()
        reason = os_reason(error) if isinstance(error, OSError) else str(error)
        raise InputError(
            f"cannot listen on host={host!r} at port={port}: {reason}. Choose another port or host."
        ) from error
    return listener


def serve(plan: Plan, listener: socket.socket, workers: int = 1) -> int:
    """Serves until SIGTERM or Ctrl-C.

    Several processes are started afresh, not forked, since no runtime runs in a fork; they have
    nothing in common but the socket.

    Returns:
        The exit code.

    Raises:
        EasysegError: A model cannot be opened.
    """
    if workers == 1:
        _serve_alone(plan, listener)
        return 0
    return _Workers(plan, listener, workers).run()


def _serve_alone(plan: Plan, listener: socket.socket) -> None:
    log_as_json(quiet=plan.quiet)
    models = {
        name: SemanticSegmentation(model, **plan.options) for name, model in plan.models.items()
    }
    uvicorn_server(create_app(models, plan.limits)).run([listener])


def uvicorn_server(app: FastAPI) -> uvicorn.Server:
    """The server of an application from `create_app`; `run([socket])` serves until a signal."""
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return _Server(config, app.state.service)


@contextlib.contextmanager
def _blocked_ctrl_c() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it would unblock the signal as it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Workers:
    """Processes that serve; one that ends unasked is replaced."""

    def __init__(self, plan: Plan, listener: socket.socket, count: int) -> None:
        self._plan, self._listener, self._count = plan, listener, count
        self._spawn = multiprocessing.get_context("spawn")
        self._running: dict[Any, float] = {}
        self._closing = False

    def run(self) -> int:
        """Serves until SIGTERM or Ctrl-C; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._close)
        for _ in range(self._count):
            self._start()
        code = 0
        while self._running and not self._closing:
            for process, started in list(self._running.items()):
                process.join(0.2)
                if process.is_alive() or self._closing:
                    continue
                del self._running[process]
                if time.monotonic() - started < SHORTEST_LIFE:
                    self._closing, code = True, 2  # its own message says why
                else:
                    log.error("a worker ended with code %s; another is started", process.exitcode)
                    self._start()
        self._end()
        return code

    def _start(self) -> None:
        process = self._spawn.Process(target=_serve_alone, args=(self._plan, self._listener))
        with _blocked_ctrl_c():  # processes inherit that: it is for this one, which ends them
            process.start()
        self._running[process] = time.monotonic()

    def _close(self, _: int, __: FrameType | None) -> None:
        self._closing = True

    def _end(self) -> None:
        for process in self._running:
            process.terminate()
        end = time.monotonic() + GRACE_SECONDS + 5
        for process in self._running:
            with contextlib.suppress(KeyboardInterrupt):
                process.join(max(0.0, end - time.monotonic()))
            if process.is_alive():
                process.kill()
