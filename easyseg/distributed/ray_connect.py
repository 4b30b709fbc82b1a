"""The connection to a Ray cluster, or a cluster of this computer for the time of a job."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

from easyseg.errors import InputError, printable
from easyseg.utils.threads import thread_count

AUTO, LOCAL = "auto", "local"
OBJECT_STORE = 256 << 20  # bytes, of a cluster of our own: only paths and rows go through it
CONNECTING = 5  # seconds
AUTHENTICATE = (
    "Set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) to the cluster's token."
)


def import_ray() -> Any:
    """The package with Ray Data.

    Raises:
        InputError: It is not installed.
    """
    try:
        import ray  # noqa: PLC0415
        import ray.data  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            f"Ray is not installed ({error}). Run: pip install 'easyseg[ray]'"
        ) from error
    return ray


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """A connection to a cluster, for the time of a job; one that is there already is used.

    Args:
        address: "auto" for the cluster that runs on this computer, or that of RAY_ADDRESS;
            "host:port" of another one's head; "local" for a cluster of this computer alone, which
            ends with the job; `None` for "auto" where RAY_ADDRESS is set, else "local".

    Raises:
        InputError: Ray is not installed, or no cluster can be reached at the address.
    """
    ray = import_ray()
    if ray.is_initialized():
        if address not in (None, AUTO):
            raise InputError(
                f"This process is connected to a cluster already. Leave ray={address!r} out, or "
                "call ray.shutdown() first."
            )
        yield ray
        return
    address = address or (AUTO if os.environ.get("RAY_ADDRESS") else LOCAL)
    _check_address(address)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        options |= {
            "num_cpus": thread_count(),
            "object_store_memory": OBJECT_STORE,
            "include_dashboard": False,
        }
    try:
        with _environment(), _signals():
            ray.init(address, **options)
    except Exception as error:
        raise _not_connected(address, error) from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """The environment in which Ray starts: it reports nothing home, and prints no log of its C++.

    What the user has set stays.
    """
    ours = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
    added = ours.keys() - os.environ.keys()
    os.environ.update({name: ours[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Keeps this process's own way to end, which Ray would replace."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _check_address(address: str) -> None:
    """Raises InputError for what is no address, and where nothing answers there."""
    if address == AUTO and (named := os.environ.get("RAY_ADDRESS")):
        address = named
    if address in (AUTO, LOCAL):
        return
    if address.startswith("ray://"):
        raise InputError(
            f"ray={address!r} is an address of Ray Client, through which paths of this computer "
            "mean nothing. Run this on the cluster itself, by `ray job submit`, with ray='auto'."
        )
    match = re.fullmatch(r"\[?([\w.:-]+?)\]?:(\d{1,5})", address)
    if match is None:
        raise InputError(
            f"ray={address!r} must be 'auto', 'local' or the address of a cluster's head, such as "
            "'10.0.0.1:6379'."
        )
    try:
        socket.create_connection((match[1], int(match[2])), CONNECTING).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"No Ray cluster answers at ray={address!r} ({printable(error)}). Check the address "
            "(`ray status` on the head), or leave it out to use this computer alone."
        ) from error


def _not_connected(address: str, error: Exception) -> InputError:
    text = " ".join(str(error).split())
    if re.search(r"auth|token|unauthenticated", text, re.IGNORECASE):
        return InputError(
            f"The Ray cluster at ray={address!r} refuses the connection: it requires a token. "
            f"{AUTHENTICATE}"
        )
    if "Could not find any running Ray instance" in text:
        return InputError(
            "No Ray cluster runs on this computer. Start one (ray start --head), name one: "
            "ray='10.0.0.1:6379', or leave the address out."
        )
    return InputError(
        f"Cannot connect to the Ray cluster at ray={address!r}: {printable(text[:300])}. Check the "
        "address and that both have the same versions of Ray and Python."
    )
