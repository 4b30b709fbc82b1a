"""Why a request failed, in words."""

from __future__ import annotations

import requests
from urllib3.exceptions import HTTPError as TransportError

__all__ = ["network_reason"]

REASONS = (
    (requests.exceptions.ProxyError, "the proxy does not respond"),
    (requests.exceptions.SSLError, "the server's certificate is not valid"),
    (requests.exceptions.Timeout, "the server does not respond (timeout)"),
    (requests.exceptions.ConnectionError, "no connection to the server"),
    (TransportError, "the connection broke"),
)


def network_reason(error: Exception) -> str:
    """The reason in one line, without what urllib3 says of its own objects.

    For an error of neither requests nor urllib3 it is the first line of its message.
    """
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server responded {error.response.status_code} {error.response.reason}"
    known = (text for kind, text in REASONS if isinstance(error, kind))
    return next(known, (str(error).splitlines() or [type(error).__name__])[0])
