"""Servers that never end, and addresses and headers that are none."""

import contextlib
import dataclasses
import time

import pytest
from helpers.file_server import TAR, answering_servers, assert_right, fetch, files, parts

from easyseg.errors import DownloadError
from easyseg.weights import download

OK = b"HTTP/1.1 200 OK\r\nETag: 1\r\n"


@pytest.fixture
def answering(home, monkeypatch):
    """Starts servers whose answer is what a function sends; returns the address of each."""
    monkeypatch.setattr(download, "PATIENCE", 0.1)
    with answering_servers("/net.tar.gz") as serve:
        yield serve


def headers_without_end():
    yield OK
    while True:
        yield b"X"


def body_without_end():
    yield OK + b"\r\n" + TAR[:100]
    while True:
        yield b"X"


def line_without_end():
    while True:
        yield b"H"


def silence():
    yield b""
    time.sleep(1)


def chunk_size_without_end():
    yield OK + b"Transfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"0"


@pytest.mark.parametrize(
    "answer",
    [headers_without_end, line_without_end, body_without_end, silence, chunk_size_without_end],
)
def test_a_byte_now_and_then_is_given_up(answer, answering, entry, home):
    started = time.perf_counter()
    with pytest.raises(DownloadError, match=r"does not respond \(timeout\)"):
        fetch(dataclasses.replace(entry, url=answering(answer)), home)
    assert time.perf_counter() - started < 5
    assert not (home / "weights").exists()


def test_a_stream_without_end_fills_no_disk(answering, entry, home):
    def stream():
        yield OK + b"\r\n" + TAR[:100]
        while True:
            yield bytes(1 << 16)

    small = dataclasses.replace(entry, url=answering(stream), bytes=None, size_mb=0.2)
    with pytest.raises(DownloadError, match=r"larger than it can be \(0 MB\)"):
        fetch(small, home)
    assert files(home) == set()


def test_a_file_larger_than_published_is_refused_by_its_length(entry, server, home):
    server.serve("/net.tar.gz", TAR)
    with pytest.raises(DownloadError, match="larger than it can be"):
        fetch(dataclasses.replace(entry, bytes=1000), home)
    assert files(home) == set()


def test_what_a_stalled_server_sent_is_kept(answering, entry, home):
    part = TAR[:150_000]

    def stall():
        yield OK + b"Content-Length: %d\r\n\r\n" % len(TAR) + part
        time.sleep(1)

    entry = dataclasses.replace(entry, url=answering(stall))
    with pytest.raises(DownloadError, match=r"0\.1 MB were received and are kept"):
        fetch(entry, home)
    (kept,) = parts(home)
    assert 0 < kept.stat().st_size <= len(part)


@pytest.mark.parametrize(
    "location", ["", "http://[", "http://" + "a" * 70 + ".com/", "ftp://x/y", "http:///", "//\x00"]
)
def test_redirects_to_what_is_no_address(location, answering, entry, home):
    def redirect():
        yield f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()

    with pytest.raises(DownloadError, match="could not be downloaded"):
        fetch(dataclasses.replace(entry, url=answering(redirect)), home)


@pytest.mark.parametrize("length", [b"many", b"-5", b"1e9", b"9" * 5000, b"\xff"])
def test_a_length_that_is_no_number(length, answering, entry, home):
    def answer():
        yield OK + b"Content-Length: " + length + b"\r\n\r\n" + TAR

    with contextlib.suppress(DownloadError):
        assert_right(fetch(dataclasses.replace(entry, url=answering(answer)), home))


def test_a_server_that_is_too_slow_for_the_size(answering, entry, home, monkeypatch):
    """It sends enough in each minute, without an end; what came is kept for the next attempt."""

    def steady():
        yield OK + b"\r\n" + TAR[: len(TAR) // 2]
        while True:
            yield TAR[:100]

    monkeypatch.setattr(download, "PATIENCE", 5)
    monkeypatch.setattr(download, "CHUNK", 100)
    monkeypatch.setattr(download, "STARTING", 0.3)
    monkeypatch.setattr(download, "SLOWEST", 10 * (entry.bytes or 10**9))
    with pytest.raises(DownloadError, match=r"sends too slowly \(.* are kept, the next attempt"):
        fetch(dataclasses.replace(entry, url=answering(steady)), home)
    assert parts(home)
