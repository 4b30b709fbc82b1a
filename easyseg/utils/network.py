"""HTTP requests with an overall time limit, and readable reasons of failures."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Any, TypeVar

import requests
from urllib3.exceptions import HTTPError as TransportError
from urllib3.exceptions import LocationValueError

T = TypeVar("T")

REASONS = (
    (LocationValueError, "it leads to an address that is not valid"),
    (requests.exceptions.ProxyError, "the proxy does not respond"),
    (requests.exceptions.SSLError, "the server's certificate is not valid"),
    (requests.exceptions.Timeout, "the server does not respond (timeout)"),
    (requests.exceptions.ConnectionError, "no connection to the server"),
    (requests.exceptions.ChunkedEncodingError, "the connection broke"),
    (TransportError, "the connection broke"),
)


def get(
    url: str, *, headers: Mapping[str, str], timeout: float | tuple[float, float]
) -> requests.Response:
    """A response whose body is not yet read; it should come as it is, not compressed.

    Requests reads the whole body of each redirect into memory, compressed ones decoded.

    Raises:
        requests.RequestException: There is no answer, or a redirect to nothing.
    """
    response = requests.get(
        url,
        headers={"Accept-Encoding": "identity", **headers},
        hooks={"response": _without_body_of_redirect},
        stream=True,
        timeout=timeout,
    )
    if response.is_redirect:
        raise requests.exceptions.InvalidURL("it redirects to an empty address")
    return response


def _without_body_of_redirect(response: requests.Response, **_: Any) -> None:
    if response.is_redirect:
        response.close()
        response.raw = io.BytesIO()


def network_reason(error: Exception) -> str:
    """The reason in one line, without what urllib3 says of its own objects.

    For an error of neither requests nor urllib3 it is the first line of its message.
    """
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server responded {error.response.status_code} {error.response.reason}"
    known = (text for kind, text in REASONS if isinstance(error, kind))
    return next(known, (str(error).splitlines() or [type(error).__name__])[0])


def watched(
    request: Callable[[threading.Event], T],
    patience: float,
    is_moving: Callable[[], bool] = lambda: False,
) -> T:
    """Calls `request` in a thread, which is left behind when nothing moves.

    Timeouts of requests hold between two bytes only; a server may send one now and then, forever.

    Args:
        request: Is given an event; once that is set, it ends with the next bytes that come.
        patience: Seconds.
        is_moving: Asked after every `patience` seconds whether to wait as long again.

    Raises:
        requests.Timeout: Nothing moved.
        BaseException: What `request` raised.
    """
    done: Future[T] = Future()
    stopped = threading.Event()

    def run() -> None:
        try:
            done.set_result(request(stopped))
        except BaseException as error:  # noqa: BLE001  (raised below)
            done.set_exception(error)

    threading.Thread(target=run, name="easyseg-request", daemon=True).start()
    try:
        while not wait([done], patience).done:
            if not is_moving() and not done.done():
                raise requests.Timeout
        return done.result()
    finally:
        stopped.set()
