"""Running the application in uvicorn, in one process or several, until it is told to end."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import multiprocessing
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection as Pipe
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from easyseg.api import SemanticSegmentation
from easyseg.errors import EasysegError, InputError, os_reason
from easyseg.serve.app import create_app
from easyseg.serve.connection import Connection
from easyseg.serve.limits import ServeLimits
from easyseg.serve.logs import log_as_json
from easyseg.serve.service import Service

log = logging.getLogger(__name__)

BACKLOG = 1024
GRACE_SECONDS = 30
REFUSING_SECONDS = 0.5  # in which connections that wait to be accepted are answered 503


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


def _nothing() -> None:
    """What is done by default when a server answers."""


class _Server(uvicorn.Server):
    """Refuses new work for a moment before it ends, so that no accepted request is lost."""

    def __init__(
        self, config: uvicorn.Config, service: Service, on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._service, self._end, self._on_ready = service, 0.0, on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to answer, once the models have run."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()

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


def serve(
    plan: Plan,
    listener: socket.socket,
    workers: int = 1,
    *,
    on_ready: Callable[[], None] = _nothing,
) -> None:
    """Serves until SIGTERM or Ctrl-C.

    Several processes are started afresh, not forked, since no runtime runs in a fork; they have
    nothing in common but the socket.

    Args:
        plan: What is served.
        listener: A socket from `bind`.
        workers: Processes.
        on_ready: Called once, when all of them answer.

    Raises:
        EasysegError: A model cannot be opened or does not run, or a process ended before it
            answered.
    """
    if workers == 1:
        _serve_alone(plan, listener, on_ready)
    else:
        _Workers(plan, listener, workers, on_ready).run()


def _serve_alone(plan: Plan, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    log_as_json(quiet=plan.quiet)
    models = {
        name: SemanticSegmentation(model, **plan.options) for name, model in plan.models.items()
    }
    app = create_app(models, plan.limits)
    try:
        uvicorn_server(app, on_ready).run([listener])
    finally:  # uvicorn ends with a code of its own
        if app.state.service.failure is not None:
            raise app.state.service.failure


def _serve_as_worker(plan: Plan, listener: socket.socket, report: Pipe) -> None:
    """Sends `None` once it answers, or the message of an error for which it ends."""
    try:
        _serve_alone(plan, listener, lambda: report.send(None))
    except EasysegError as error:
        report.send(str(error))
        sys.exit(2)


def uvicorn_server(app: FastAPI, on_ready: Callable[[], None] = _nothing) -> uvicorn.Server:
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
    return _Server(config, app.state.service, on_ready)


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
    """Processes that serve; one that ends unasked is replaced, if it had answered before."""

    def __init__(
        self, plan: Plan, listener: socket.socket, count: int, on_ready: Callable[[], None]
    ) -> None:
        self._plan, self._listener, self._count, self._on_ready = plan, listener, count, on_ready
        self._spawn = multiprocessing.get_context("spawn")
        self._running: dict[Any, Pipe] = {}
        self._ready: set[Any] = set()
        self._closing = False

    def run(self) -> None:
        """Serves until SIGTERM or Ctrl-C."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._close)
        try:
            for _ in range(self._count):
                self._start()
            announced = False
            while not self._closing:
                for process in list(self._running):
                    process.join(0.2)
                    self._look_after(process)
                if not announced and len(self._ready) == self._count:
                    announced = True
                    self._on_ready()
        finally:
            self._end()

    def _look_after(self, process: Any) -> None:
        """Reads what a process reports, and replaces it if it ended.

        Raises:
            InputError: It ended, or does so, before it answered, as would the next.
        """
        ended, message = not process.is_alive(), self._read(self._running[process])
        if message is None:
            self._ready.add(process)
        if message:
            raise InputError(message)
        if not ended or self._closing:
            return
        self._running.pop(process).close()
        if process not in self._ready:
            raise InputError(
                f"a worker ended with code {process.exitcode} before it was ready. Look at what "
                "it printed; -9 is the system's lack of memory: then start fewer workers."
            )
        self._ready.discard(process)
        log.error("a worker ended with code %s; another is started", process.exitcode)
        self._start()

    @staticmethod
    def _read(report: Pipe) -> str | None:
        """The message of an error, `None` of a process that is ready, or nothing yet."""
        try:
            message: str | None = report.recv() if report.poll() else ""
        except (EOFError, OSError):
            return ""
        return message

    def _start(self) -> None:
        report, of_worker = self._spawn.Pipe(duplex=False)
        process = self._spawn.Process(
            target=_serve_as_worker, args=(self._plan, self._listener, of_worker)
        )
        with _blocked_ctrl_c():  # processes inherit that: it is for this one, which ends them
            process.start()
        of_worker.close()
        self._running[process] = report

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
