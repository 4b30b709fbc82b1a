"""Who may call: the name in Host, the key, and the headers that browsers obey."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from starlette.datastructures import Headers

from easyseg.serve.limits import ServeLimits
from easyseg.serve.problems import Problem

OPEN_PATHS = frozenset(  # for probes, and what a browser needs before it can ask for the key
    (
        "/",
        "/example.jpg",
        "/docs",
        "/openapi.json",
        "/healthz",
        "/readyz",
        "/v2/health/live",
        "/v2/health/ready",
    )
)
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  (compared with, not bound)
INLINE = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)


def check_caller(scope: Any, limits: ServeLimits) -> None:
    """Checks the host and the key of a request.

    Raises:
        Problem: It is addressed to another host, or has no valid key.
    """
    headers = Headers(scope=scope)
    if len(headers.getlist("host")) != 1 or not host_matches(
        _host_of(headers["host"]), limits.allow_hosts
    ):
        raise Problem(
            "wrong_host",
            "The server does not answer under the name in Host. Its operator can allow it.",
        )
    if not limits.keys or scope["path"] in OPEN_PATHS:
        return
    scheme, _, token = headers.get("authorization", "").partition(" ")
    given = headers.get("x-api-key") or _key_of(scheme.lower(), token.strip())
    digest = hashlib.sha256(given.encode("utf-8", "replace")).digest()
    # all are compared, in the same time whatever the key
    known = [hmac.compare_digest(digest, hashlib.sha256(k.encode()).digest()) for k in limits.keys]
    if not any(known):
        raise Problem(
            "no_key",
            "Send a valid key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.",
            headers={"WWW-Authenticate": "Bearer"},
        )


def host_matches(host: str, allowed: Iterable[str]) -> bool:
    """Whether a host is one of the names, "*.example.com", "*", or any address ("0.0.0.0")."""
    host = host.casefold().rstrip(".")
    return bool(host) and any(
        name == "*"
        or host == name.casefold()
        or (name[:2] == "*." and host.endswith(name[1:].casefold()))
        or (name in ANY_ADDRESS and _is_address(host))
        for name in allowed
    )


def policy_of(page: bytes) -> str:
    """The Content-Security-Policy of a page of ours: its own inline script and style, by hash."""
    sources: dict[str, list[str]] = {"script": ["'self'"], "style": ["'self'"]}
    for kind, text in INLINE.findall(page):
        digest = base64.b64encode(hashlib.sha256(text).digest()).decode()
        sources[kind.decode()].append(f"'sha256-{digest}'")
    return (
        f"default-src 'self'; script-src {' '.join(sources['script'])}; "
        f"style-src {' '.join(sources['style'])}; img-src 'self' blob: data:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _key_of(scheme: str, token: str) -> str:
    """The key in Authorization; of "basic", as Label Studio sends it, the password is the key."""
    if scheme != "basic":
        return token if scheme == "bearer" else ""
    try:
        return base64.b64decode(token).decode().partition(":")[2]
    except ValueError:
        return ""


def _host_of(header: str) -> str:
    """`localhost:8000` -> "localhost", `[::1]:8000` -> "::1"."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/@\s]+)(:\d{1,5})?", header)
    return match[1].strip("[]") if match else ""
