"""`ServeLimits`: what a server allows, chosen once, checked when made."""

from __future__ import annotations

import dataclasses
import ipaddress
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from easyseg.errors import InputError, os_reason, show_path
from easyseg.utils.validation import checked_fields, is_count

log = logging.getLogger(__name__)

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
HOST_NAME = re.compile(r"(\*|(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:]+)", re.IGNORECASE)
ORIGIN = re.compile(r"https?://[^/\s,*]+|\*")
SHORTEST_KEY = 16  # characters
BODIES = 16  # bodies of the largest size that are held in memory at once


@checked_fields
@dataclasses.dataclass(frozen=True)
class ServeLimits:
    """What a server allows.

    Args:
        batch: Images that go through the network together; `None` for what `optimize` measured
            to be fastest.
        wait_ms: Milliseconds for which an incomplete batch waits for more images.
        queue: Requests that may wait; more are answered with 503.
        timeout: Seconds from a complete request to its answer; after that it is 504.
        max_mb: Largest body of a request in megabytes (2**20 bytes).
        max_megapixels: Largest image in millions of pixels.
        allow_urls: Hosts from which images are fetched: names, "*.example.com", or "*" for any
            public one; none by default.
        cors: Origins whose pages may call the server, such as "https://example.com".
        allow_hosts: Names under which the server may be addressed; "*" for any.
        keys: Secrets, one of which every request must carry; none for an open server.
        page: Whether the page at / is served.
        docs: Whether /docs and /openapi.json are served.
        label_studio: Address of a Label Studio whose ML backend the server is, and from which it
            fetches the images of tasks; `None` for none.

    Raises:
        InputError: A value breaks its rule.
    """

    batch: int | None = None
    wait_ms: float = 5.0
    queue: int = 64
    timeout: float = 30.0
    max_mb: int = 20
    max_megapixels: float = 64.0
    allow_urls: Sequence[str] = ()
    cors: Sequence[str] = ()
    allow_hosts: Sequence[str] = LOOPBACK_HOSTS
    keys: Sequence[str] = dataclasses.field(default=(), repr=False)
    page: bool = True
    docs: bool = True
    label_studio: str | None = None

    def __post_init__(self) -> None:
        for name in ("queue", "max_mb", *(["batch"] if self.batch is not None else [])):
            if not is_count(getattr(self, name)):
                raise InputError(f"{name}={getattr(self, name)!r} must be a whole number from 1.")
        if not 0 <= self.wait_ms <= 1000:
            raise InputError(f"wait_ms={self.wait_ms!r} must be from 0 to 1000 milliseconds.")
        for name, unit in (("timeout", "seconds"), ("max_megapixels", "million pixels")):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name}={getattr(self, name)!r} must be above 0 {unit}.")
        self._check_addresses()
        if any(len(key) < SHORTEST_KEY for key in self.keys):
            raise InputError(
                f"a key has fewer than {SHORTEST_KEY} characters. Choose a longer one, such as "
                "`openssl rand -hex 32` makes."
            )
        for name in ("allow_urls", "cors", "allow_hosts", "keys"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def _check_addresses(self) -> None:
        for name in ("allow_urls", "allow_hosts"):
            for host in getattr(self, name):
                if not HOST_NAME.fullmatch(host):
                    raise InputError(
                        f"{name}={host!r} must be the name of a host, such as 'example.com' or "
                        "'*.example.com'."
                    )
        for origin in self.cors:
            if not ORIGIN.fullmatch(origin):
                raise InputError(
                    f"cors={origin!r} must be an origin, such as 'https://example.com', without a "
                    "path."
                )
        if self.label_studio is not None and not ORIGIN.match(self.label_studio):
            raise InputError(
                f"label_studio={self.label_studio!r} must be its address: 'http://localhost:8080'."
            )

    @property
    def max_bytes(self) -> int:
        """Largest body in bytes."""
        return self.max_mb << 20

    @property
    def max_pixels(self) -> int:
        """Largest image in pixels."""
        return int(self.max_megapixels * 1e6)

    @property
    def held_bytes(self) -> int:
        """Bytes of all bodies that are held in memory at once."""
        return BODIES * self.max_bytes


def read_keys(path: Path) -> tuple[str, ...]:
    """The secrets of a file, one on each line, without blank lines and comments (#).

    A file that others can read is warned of.

    Raises:
        InputError: It cannot be read, holds none, or one that is too short.
    """
    shown = show_path(path)
    try:
        mode, text = path.stat().st_mode, path.read_text("ascii")
    except UnicodeDecodeError as error:
        raise InputError(
            f"key_file={shown} has characters that are not ASCII. Write keys such as "
            "`openssl rand -hex 32` makes."
        ) from error
    except OSError as error:
        raise InputError(
            f"key_file={shown} cannot be read: {os_reason(error)}. Check its path and permissions."
        ) from error
    lines = [line.strip() for line in text.splitlines()]
    keys = tuple(line for line in lines if line and not line.startswith("#"))
    if not keys:
        raise InputError(
            f"key_file={shown} holds no key. Write one, such as `openssl rand -hex 32` makes."
        )
    for number, line in enumerate(lines, 1):
        if line in keys and len(line) < SHORTEST_KEY:
            raise InputError(
                f"key_file={shown} has a key of fewer than {SHORTEST_KEY} characters in line "
                f"{number}. Write one such as `openssl rand -hex 32` makes."
            )
    if mode & 0o077:
        log.warning("%s can be read by others; run: chmod 600 %s", shown, shown)
    return keys


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach a server at this address."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
