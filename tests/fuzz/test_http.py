"""Servers that answer anything: an image, the right weights, or an EasysegError, in bounds."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import io
import socket
import threading
import time
import zlib

import numpy as np
import pytest
from helpers import file_server
from helpers.file_server import TAR, assert_right, fetch
from helpers.fuzz import each_run, mutated_bytes, run
from hypothesis import strategies as st
from PIL import Image

from easyseg import read_image
from easyseg.errors import DownloadError, ImageTooLargeError, UnreadableImageError
from easyseg.io import read_image as module
from easyseg.weights import download
from easyseg.weights.manifest import weight_set

BUFFER = io.BytesIO()
Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(BUFFER, "PNG")
PNG = BUFFER.getvalue()
BODIES = [PNG, TAR, TAR[:70_000], gzip.compress(PNG), zlib.compress(PNG), b"<html>no</html>", b""]
STATUSES = ["200 OK", "206 Partial Content", "416 No", "404 No", "503 Busy", "429 Later", "204 Nil"]
STATUSES += ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent", "304 Same"]
STATUSES += ["100 Continue", "401 Who", "407 Proxy", "999 \x1b[31m", "0 ", "-1 x", "abc", "200"]
VALUES = ["", " ", "0", "1", "-1", "9" * 400, "1e9", "nan", "\xff", "\x00", "\x1b]0;x\x07"]
VALUES += ["a" * 70_000]
HEADERS = {
    "Content-Length": ["{length}", "{length}, {length}", "{length}0", *VALUES],
    "Content-Encoding": ["gzip", "deflate", "br", "zstd", "gzip, gzip", "identity", *VALUES],
    "Transfer-Encoding": ["chunked", "gzip, chunked", *VALUES],
    "Location": ["/", "//", "http://[", "ftp://x/", "file:///etc/passwd", "?", "http:", *VALUES],
    "Content-Range": ["bytes 0-1/2", "bytes */5", "bytes 70000-/", *VALUES],
    "ETag": ['"1"', 'W/"1"', *VALUES],
    "Set-Cookie": ["a=b; Domain=..; Max-Age=-9", *VALUES],
    "Connection": ["keep-alive", "close, , ", *VALUES],
    "WWW-Authenticate": ["Digest", "Basic realm=", *VALUES],
    "Content-Type": ["text/html; charset=\x00", *VALUES],
}


class Server:
    """Answers every request with the same bytes."""

    def __init__(self):
        self.answer = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(1)
                    connection.recv(1 << 16)
                    connection.sendall(self.answer)

    def close(self):
        self._socket.close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """A status, headers of any value, a body in chunks or whole; some bytes of it changed."""
    body = draw(st.sampled_from(BODIES))
    lines = [f"HTTP/1.{draw(st.sampled_from('0119'))} {draw(st.sampled_from(STATUSES))}"]
    for name in draw(st.lists(st.sampled_from(list(HEADERS)), max_size=4)):
        value = draw(st.sampled_from(HEADERS[name]))
        lines.append(f"{name}: {value.replace('{length}', str(len(body)))}")
    if draw(st.booleans()):
        size = draw(st.sampled_from([len(body) or 1, 1000, 1]))
        parts = [body[i : i + size] for i in range(0, len(body), size)][:50]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        lines.append("Transfer-Encoding: chunked")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    if draw(st.booleans()):
        head = draw(mutated_bytes(head))
    return head + body


# of malformed answers urllib3 leaves the sockets to the garbage collector
left_open = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@left_open
@each_run(0.4)
def test_images_from_any_server(server, examples, monkeypatch):
    monkeypatch.setattr(module, "DOWNLOAD_TIMEOUT", 1)
    monkeypatch.setattr(module, "DOWNLOAD_SECONDS", 2)

    def attack(answer: bytes):
        server.answer = answer
        assert read_image(f"{server.url}/a.png").shape[2] == 3

    run(attack, answers(), examples)


@left_open
@each_run(0.2)
def test_weights_from_any_server(server, examples, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", (1, 1))
    monkeypatch.setattr(download, "PATIENCE", 1)
    monkeypatch.setattr(download, "PAUSES", (0,))
    entry = file_server.with_hash(weight_set("mobilenetv2.voc"), TAR)
    entry = dataclasses.replace(entry, url=f"{server.url}/net.tar.gz", mirrors=(), bytes=None)

    def attack(answer: bytes):
        server.answer = answer
        home = tmp_path / str(time.monotonic_ns())  # what came before is not resumed
        assert_right(fetch(entry, home))

    run(attack, answers(), examples)


BOMB = gzip.compress(bytes(20 << 20))
REPLIES = {
    "compressed": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + BOMB,
        "it is larger than",
    ),
    "twice": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\n\r\n" + gzip.compress(BOMB),
        r"the server compresses it \('gzip, gzip'\)",
    ),
    "redirect": (
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Encoding: gzip\r\n\r\n" + BOMB,
        "redirects",
    ),
}


@pytest.mark.parametrize("name", REPLIES)
def test_what_grows_when_it_is_unpacked(server, name, monkeypatch):
    """Of a compressed image no more is unpacked than is taken, of a redirect's body nothing."""
    monkeypatch.setattr(module, "MAX_DOWNLOAD_BYTES", 1 << 20)
    server.answer, message = REPLIES[name]
    taken = []
    monkeypatch.setattr(module, "_read_file", lambda file, *_: taken.append(len(file.getvalue())))
    with pytest.raises((ImageTooLargeError, UnreadableImageError), match=message):
        read_image(f"{server.url}/a.png")
    assert not taken


def test_the_body_of_a_redirect_is_not_read(tmp_path, monkeypatch):
    """It may be without end; each of 30 redirects would be read into memory."""
    monkeypatch.setattr(download, "PAUSES", ())
    sent = []

    def endless():
        yield b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"
        while sum(sent) < 1 << 24:
            sent.append(1 << 20)
            yield bytes(1 << 20)

    entry = weight_set("mobilenetv2.voc")
    with file_server.answering_servers("/net.tar.gz") as serve:
        url = serve(endless)
        with pytest.raises(UnreadableImageError, match="redirects"):
            read_image(url.replace("net.tar.gz", "a.png"))
        with pytest.raises(DownloadError, match="redirects"):
            fetch(dataclasses.replace(entry, url=url, mirrors=()), tmp_path)
