"""What only a real connection shows: slow clients, bytes that are not HTTP, many connections."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import re
import socket
import time

import numpy as np
import pytest
from helpers.served import GatedNetwork, encoded, painted, quick_model
from helpers.server_process import serving

import easyseg.serve.body
import easyseg.serve.connection
import easyseg.serve.service
from easyseg.serve import ServeLimits, create_app

HEAD = b"POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


@pytest.fixture(scope="module")
def network():
    return GatedNetwork()


@pytest.fixture(scope="module")
def service(network):
    return create_app(quick_model(network), ServeLimits(queue=8, max_mb=1))


@pytest.fixture(scope="module")
def port(service):
    with serving(service) as address:
        yield int(address.rpartition(":")[2])


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(easyseg.serve.connection, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(easyseg.serve.connection, "READ_SECONDS", 0.3)
    monkeypatch.setattr(easyseg.serve.connection, "DRAIN_SECONDS", 0.3)
    monkeypatch.setattr(easyseg.serve.body, "BODY_SECONDS", 0.5)
    monkeypatch.setattr(easyseg.serve.body, "DRAIN_SECONDS", 0.2)


@contextlib.contextmanager
def connected(port):
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        yield connection


def seconds_until_cut(connection, piece=None):
    """How long the server keeps a connection on which a byte comes now and then."""
    started = time.monotonic()
    connection.settimeout(0.05)
    while time.monotonic() - started < 10:
        with contextlib.suppress(TimeoutError):
            try:
                if piece:
                    connection.sendall(piece)
                if not connection.recv(1 << 16):
                    break
            except ConnectionError:
                break
    return time.monotonic() - started


def answer_to(port, content):
    with connected(port) as connection:
        connection.sendall(content)
        received = b""
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(1 << 16):
                received += part
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.lower(), body


def test_a_silent_client_is_cut(port):
    with connected(port) as connection:
        assert seconds_until_cut(connection) < 5


def test_a_head_that_trickles_is_cut(port):
    with connected(port) as connection:
        connection.sendall(HEAD)
        assert 0.2 < seconds_until_cut(connection, b"X: y\r\n") < 5


def test_a_body_that_trickles_is_408(port):
    with connected(port) as connection:
        connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
        received = b""
        started = time.monotonic()
        while b'"slow_body"' not in received:
            assert time.monotonic() - started < 10
            connection.sendall(b"x")
            time.sleep(0.02)
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                received += connection.recv(1 << 16)
            connection.setblocking(True)
        assert received.startswith(b"HTTP/1.1 408")
        assert b"connection: close" in received.lower()


def test_a_client_that_does_not_read_is_cut(port):
    """Its answer is larger than what the system buffers."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", port))
    get = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    end = time.monotonic() + 8

    def ask_without_reading():
        while time.monotonic() < end:
            connection.sendall(get * 20)

    with connection, pytest.raises(ConnectionError):
        ask_without_reading()


def test_a_large_answer_that_is_read_slowly_is_cut(port, service, monkeypatch):
    """In time, however steadily its bytes are taken."""
    monkeypatch.setattr(easyseg.serve.service, "SEND_SECONDS", 0.5)
    monkeypatch.setattr(easyseg.serve.service, "SLOWEST", 1 << 30)
    pixels = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), np.uint8)
    content = encoded(pixels, "JPEG", quality=20)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", port))
    request = HEAD.replace(b"/v1/segment", b"/v1/segment?kind=side_by_side")
    with connection:
        connection.sendall(request + b"Content-Length: %d\r\n\r\n" % len(content) + content)
        head = connection.recv(1024)
        slow = time.monotonic() + 1.5
        received = len(head)
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(2048):
                received += len(part)
                time.sleep(0.01 if time.monotonic() < slow else 0)
    length = int(re.search(rb"content-length: (\d+)", head)[1])
    assert length > 5_000_000  # more than the system buffers
    assert 0 < received < length
    bodies = service.state.service.bodies
    end = time.monotonic() + 10
    while bodies._held and time.monotonic() < end:
        time.sleep(0.01)
    assert (bodies._held, bodies._requests) == (0, 0)


def test_a_body_after_its_answer_does_not_go_on_for_ever(port):
    with connected(port) as connection:
        connection.sendall(
            b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n"
        )
        assert seconds_until_cut(connection, b"x") < 5


def test_an_endless_body_is_413_while_it_comes(port):
    with connected(port) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        piece = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 400:
                connection.sendall(piece)
                sent += 1
                connection.settimeout(0.001)
                with contextlib.suppress(TimeoutError):
                    received = connection.recv(1 << 16)
                    assert received.startswith(b"HTTP/1.1 413")
                    break
                connection.settimeout(10)
        assert 16 <= sent < 400


def test_too_large_a_length_is_413_before_the_body(port):
    request = HEAD + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"
    status, head, body = answer_to(port, request)
    assert status == 413
    assert b"connection: close" in head
    assert json.loads(body)["code"] == "body_too_large"


NOT_HTTP = [
    b"hello\r\n\r\n",
    b"GET\r\n\r\n",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",  # TLS
    b"GET / HTTP/1.1\r\n\r\n",  # no Host
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
]


@pytest.mark.parametrize("content", NOT_HTTP, ids=lambda content: repr(content[:30]))
def test_what_is_not_http_is_a_problem(port, content):
    status, head, body = answer_to(port, content)
    if status != 408 and b"chunked" not in content:
        assert status in (400, 421)
        assert b"application/problem+json" in head
        assert json.loads(body)["code"] in ("bad_request", "wrong_host")


def test_a_server_goes_on_after_all_that(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for _ in range(3):  # over one connection
        connection.request("POST", "/v1/segment", encoded(), {"Content-Type": "image/png"})
        response = connection.getresponse()
        assert response.status == 200
        response.read()
    connection.close()


def test_work_for_a_client_that_has_gone_is_dropped(port, service, network):
    queue, request = service.state.service.queue, HEAD + b"Content-Length: %d\r\n\r\n"
    network.gate.clear()
    network.batches.clear()
    content = encoded()
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(8)]
    for connection in held:
        connection.sendall(request % len(content) + content)
    end = time.monotonic() + 10
    while len(queue) < 5:
        assert time.monotonic() < end
        time.sleep(0.01)
    for connection in held:
        connection.close()
    while queue._waiting and not all(job.answer.cancelled() for job in list(queue._waiting)):
        assert time.monotonic() < end
        time.sleep(0.01)
    network.gate.set()
    test_a_server_goes_on_after_all_that(port)
    assert sum(network.batches) <= len(queue._threads) + 3


def test_400_connections_get_200_or_503_and_nothing_else(port, service):
    content = encoded(painted(30, 30))

    def one(_):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", "/v1/segment", content, {"Content-Type": "image/png"})
            response = connection.getresponse()
            body = response.read()
            if response.status == 503:
                assert json.loads(body)["code"] == "queue_full"
                assert response.headers["Retry-After"]
            return response.status

    easyseg.serve.connection.HEAD_SECONDS = 30
    with concurrent.futures.ThreadPoolExecutor(400) as pool:
        statuses = list(pool.map(one, range(400)))
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) > 8
    bodies = service.state.service.bodies
    assert (bodies._held, bodies._requests) == (0, 0)


def test_too_many_connections_are_a_problem(port, monkeypatch):
    monkeypatch.setattr(easyseg.serve.connection, "MAX_CONNECTIONS", 1)
    monkeypatch.setattr(easyseg.serve.connection, "HEAD_SECONDS", 30)
    with connected(port) as first, connected(port) as second:
        first.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        second.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = http.client.HTTPResponse(second)
        answer.begin()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert answer.headers["content-type"] == "application/problem+json"
        assert json.loads(answer.read())["code"] == "queue_full"
    test_a_server_goes_on_after_all_that(port)
