"""Fetching an image from an address that a client gave, if that is public and allowed.

The host is resolved once, all its addresses are checked, and the connection goes to one of them, so
that a name cannot mean another machine a moment later. Every redirect is checked in the same way.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from easyseg.serve.limits import ServeLimits
from easyseg.serve.problems import Problem
from easyseg.serve.security import host_matches
from easyseg.utils.network import network_reason, watched

FETCH_SECONDS = 10.0
MAX_REDIRECTS = 3
CHUNK = 1 << 16
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # which hides an IPv4 address

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Target(NamedTuple):
    """Where a request goes.

    Attributes:
        host: The name, for TLS and the Host header.
        address: The checked address to which it connects.
        path: With the query.
    """

    host: str
    address: str
    path: str


def fetch_image(url: str, limits: ServeLimits) -> bytes:
    """The bytes at an https address; blocks for 10 seconds at most.

    Raises:
        Problem: The operator does not allow it, it is not public, or it does not give an image's
            bytes within the limits.
    """
    if not limits.allow_urls:
        raise Problem("urls_off", "This server does not fetch images. Send the image itself.")
    try:
        return watched(lambda stopped: _follow(url, limits, stopped), FETCH_SECONDS)
    except (requests.Timeout, urllib3.exceptions.HTTPError, OSError) as error:
        raise Problem(
            "url_failed", f"The image was not fetched: {network_reason(error)}. Send it itself."
        ) from error


def check_url(url: str, limits: ServeLimits) -> Target:
    """Resolves a URL and checks where it leads.

    Raises:
        Problem: It may not be fetched.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _refused("it is malformed") from error
    if parts.scheme != "https":
        raise _refused("only https:// is allowed")
    if parts.username is not None or parts.password is not None:
        raise _refused("it holds a user name")
    if port not in (None, 443):
        raise _refused("only port 443 is allowed")
    if not host.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise _refused("it is malformed")
    if not host_matches(host, limits.allow_urls):
        raise _refused("its host is not among those that are allowed")
    addresses = _resolve(host)
    if not addresses or not all(map(is_public, addresses)):
        raise _refused("its host is not a public one")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(host, str(addresses[0]), path)


def is_public(address: Address) -> bool:
    """Whether an address is of the public internet, as is the IPv4 one that it may hide."""
    if isinstance(address, ipaddress.IPv6Address):
        hidden = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in NAT64:
            hidden.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if not all(is_public(each) for each in hidden if each is not None):
            return False
        if address.ipv4_mapped is not None:
            return True
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def _resolve(host: str) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _refused("its host does not exist") from error
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _follow(url: str, limits: ServeLimits, stopped: threading.Event) -> bytes:
    for _ in range(MAX_REDIRECTS + 1):
        target = check_url(url, limits)
        content, location = _get(target, limits, stopped)
        if location is None:
            return content
        url = urljoin(url, location)
    raise Problem(
        "url_failed", f"It leads on more than {MAX_REDIRECTS} times. Send the image itself."
    )


def _get(target: Target, limits: ServeLimits, stopped: threading.Event) -> tuple[bytes, str | None]:
    """The bytes of an answer, or where it leads on."""
    pool = urllib3.HTTPSConnectionPool(
        target.address,
        443,
        timeout=FETCH_SECONDS,
        retries=False,
        assert_hostname=target.host,
        server_hostname=target.host,
        cert_reqs="CERT_REQUIRED",
    )
    headers = {"Host": target.host, "Accept": "image/*", "Accept-Encoding": "identity"}
    with pool:
        response = pool.request(
            "GET", target.path, headers=headers, redirect=False, preload_content=False
        )
        try:
            if 300 <= response.status < 400 and response.headers.get("Location"):
                return b"", response.headers["Location"]
            if response.status != 200:
                raise Problem(
                    "url_failed", f"Its server responded {response.status}. Send the image itself."
                )
            content = bytearray()
            for chunk in response.stream(CHUNK, decode_content=False):
                content += chunk
                if len(content) > limits.max_bytes:
                    raise Problem(
                        "body_too_large", f"The image at the address is over {limits.max_mb} MB."
                    )
                if stopped.is_set():
                    break
            return bytes(content), None
        finally:
            response.close()


def _refused(reason: str) -> Problem:
    return Problem("url_refused", f"The address is not fetched: {reason}. Send the image itself.")
