"""Running the application in uvicorn."""

from __future__ import annotations

import socket

import uvicorn

from easyseg.errors import InputError, os_reason

__all__ = ["bind", "run"]

BACKLOG = 512
GRACE_SECONDS = 30


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        InputError: It is not possible.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise InputError(
            f"cannot listen on host={host!r} port={port}: {os_reason(error)}. Choose another port."
        ) from error
    return listener


def run(app: object, listener: socket.socket) -> None:
    """Serves until SIGTERM or Ctrl-C."""
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws="none",
        lifespan="on",
    )
    uvicorn.Server(config).run([listener])
